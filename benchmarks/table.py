"""What was measured, as a table for people and as a document for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks.tools import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.bench import Measured, Row
    from benchmarks.tools import Name

_MIB = 1 << 20


def show(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print the table, or the document, on standard output."""
    print(json.dumps(document(rows), indent=2) if as_json else table(rows))


def table(rows: Sequence[Row]) -> str:
    """One line for each case and link; wall times are medians, as ratios to psql's and for ./inv to yoyo's as well."""
    heads = (
        "case", "link", "psql ms", "inv ms", "inv/psql", "yoyo/psql", "npm/psql", "inv/yoyo", "best",
        "waits", "connections", "statements", "peak MiB",
    )  # fmt: skip
    lines = [heads, *(_line(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    texts = ["  ".join(_padded(cell, width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([*(text.rstrip() for text in texts), "", _LEGEND])


_LEGEND = """\
waits, connections, statements and peak are psql/inv/yoyo. best: inv/psql by the fastest runs instead of the medians.
npm is node-pg-migrate, where it is on PATH.
From zero psql runs one script in one transaction and records nothing; node-pg-migrate records each file and commits them all
at once; inv and yoyo commit and record each file."""


def document(rows: Sequence[Row]) -> dict[str, Any]:
    """All figures: seconds, bytes and counts, with every single run."""
    return {"rows": [_document(row) for row in rows]}


def _line(row: Row) -> tuple[str, ...]:
    link = f"{row.round_trip * 1000:.0f} ms" if row.round_trip else "loopback"
    return (
        row.case.name,
        link,
        _each(row, "psql", lambda tool: f"{tool.wall * 1000:.0f}"),
        _each(row, "inv", lambda tool: f"{tool.wall * 1000:.0f}"),
        _ratio(row, "inv", "psql"),
        _ratio(row, "yoyo", "psql"),
        _ratio(row, "node-pg-migrate", "psql"),
        _ratio(row, "inv", "yoyo"),
        _ratio(row, "inv", "psql", lambda tool: tool.fastest),
        _all(row, lambda tool: str(tool.traffic.waits if tool.traffic else "-")),
        _all(row, lambda tool: str(tool.traffic.connections if tool.traffic else "-")),
        _all(row, lambda tool: str(tool.traffic.statements if tool.traffic else "-")),
        _all(row, lambda tool: f"{tool.peak / _MIB:.0f}"),
    )


def _padded(cell: str, width: int) -> str:
    return cell.rjust(width) if cell[:1].isdigit() or cell == "-" else cell.ljust(width)


def _each(row: Row, name: Name, show: Callable[[Measured], str]) -> str:
    measured = row.tools.get(name)
    return show(measured) if measured is not None and measured.spent else "-"


def _all(row: Row, show: Callable[[Measured], str]) -> str:
    return "/".join(_each(row, name, show) for name in NAMES)


def _ratio(row: Row, one: Name, other: Name, of: Callable[[Measured], float] = lambda tool: tool.wall) -> str:
    first, second = row.tools.get(one), row.tools.get(other)
    if first is None or second is None:
        return "-"
    return f"{of(first) / of(second):.2f}"


def _document(row: Row) -> dict[str, Any]:
    return {
        "case": row.case.name,
        "applied": row.case.applied,
        "pending": row.case.pending,
        "round_trip": row.round_trip,
        "tools": [
            {
                "name": name,
                "wall": [each.wall for each in tool.spent],
                "cpu": [each.cpu for each in tool.spent],
                "peak": tool.peak,
                "waits": tool.traffic.waits if tool.traffic else None,
                "connections": tool.traffic.connections if tool.traffic else None,
                "statements": tool.traffic.statements if tool.traffic else None,
            }
            for name, tool in row.tools.items()
        ],
    }
