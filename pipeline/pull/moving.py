"""The rows on their way: COPY out of one server, each value through its mask, COPY into the other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dbclient.quoting import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import psycopg

    from pipeline.deploy.observer import Observer
    from pipeline.pull.masks import Mask
    from pipeline.pull.rules import Decision
    from pipeline.pull.tables import Column, Tables

_NULL = b"\\N"
# COPY's text format (PostgreSQL manual, COPY, "Text Format"). The server writes these six; it reads any other letter as itself.
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE = re.compile(r"[\\\b\f\n\r\t\v]")
_LETTERS = {value: f"\\{letter}" for letter, value in _ESCAPES.items()} | {"\\": "\\\\"}
_BLOCK = 1 << 16  # bytes handed to the server at a time
_INTEGERS = {"int2", "int4", "int8"}


@dataclass(frozen=True, slots=True)
class Move:
    """A table's rows: its name as in SQL, its columns, and how each is read."""

    table: str
    columns: Mapping[str, Column]
    masks: Mapping[str, Mask]
    is_partitioned: bool

    @property
    def out(self) -> str:
        """The COPY that reads. A table's children have a COPY of their own, partitions none."""
        expressions = ", ".join(self.masks[name].expression for name in self.columns)
        only = "" if self.is_partitioned else "ONLY "
        return f"COPY (SELECT {expressions} FROM {only}{self.table}) TO STDOUT"

    @property
    def into(self) -> str:
        """The COPY that writes."""
        return f"COPY {self.table} ({', '.join(map(identifier, self.columns))}) FROM STDIN"


def move(
    moves: Sequence[Move],
    emptied: Iterable[str],
    reading: psycopg.Connection[Any],
    writing: psycopg.Connection[Any],
    observer: Observer,
) -> dict[str, int]:
    """Empty the tables, and fill them in the order of the moves, in the transaction that is open; how many rows each got."""
    tables = ", ".join(emptied)
    if tables:
        writing.execute(f"TRUNCATE {tables}".encode())
    counts: dict[str, int] = {}
    for each in moves:
        observer.working(f"pulling {each.table}")
        counts[each.table] = _copy(each, reading, writing)
    return counts


def refresh(here: Tables, decisions: Mapping[tuple[str, str], Decision], writing: psycopg.Connection[Any]) -> None:
    """Let sequences go on behind the numbers that came as they were, and tell the planner of the rows."""
    for table, columns in here.columns.items():
        for name, column in columns.items():
            decision = decisions.get((table, name))
            if column.base in _INTEGERS and decision is not None and decision.rule == "keep":
                sequence = f"pg_catalog.pg_get_serial_sequence({literal(table)}, {literal(name)})"
                highest = f"(SELECT max({identifier(name)}) FROM {table})"
                writing.execute(
                    f"SELECT pg_catalog.setval(s, m) FROM (SELECT {sequence}, {highest}) AS x (s, m) "
                    "WHERE s IS NOT NULL AND m > 0".encode()
                )
    if here.columns:
        writing.execute(f"ANALYZE {', '.join(here.columns)}".encode())


def masked_line(line: bytes, transforms: Sequence[Callable[[str], str] | None]) -> bytes:
    """One line of COPY's text format, without its end, with each value through its transform; NULL stays NULL."""
    fields = line.split(b"\t")
    for at, transform in enumerate(transforms):
        if transform is not None and fields[at] != _NULL:
            fields[at] = _escape(transform(_unescape(fields[at]))).encode()
    return b"\t".join(fields)


def _copy(each: Move, reading: psycopg.Connection[Any], writing: psycopg.Connection[Any]) -> int:
    transforms = [each.masks[name].transform for name in each.columns]
    count = size = 0
    block: list[bytes] = []
    with (
        reading.cursor().copy(each.out.encode()) as source,
        writing.cursor().copy(each.into.encode()) as target,
    ):
        for data in source:
            for line in bytes(data).split(b"\n")[:-1]:  # a line end within a value is escaped
                block.append(masked_line(line, transforms))
                count += 1
                size += len(block[-1])
            if size > _BLOCK:
                target.write(b"\n".join(block) + b"\n")
                block.clear()
                size = 0
        if block:
            target.write(b"\n".join(block) + b"\n")
    return count


def _unescape(field: bytes) -> str:
    text = field.decode()
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), text) if "\\" in text else text


def _escape(text: str) -> str:
    return _TO_ESCAPE.sub(lambda found: _LETTERS[found[0]], text)
