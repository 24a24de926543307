"""The page of `history`: how long each deployed migration took, as a plot and as a table."""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING

from pipeline.console.pages import Cell, code, page, table, text, wide
from pipeline.console.text import counted, duration_text, server_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.deploy.past import Past
    from pipeline.history.log import Entry

_TICKS = {1: "1 ms", 10: "10 ms", 100: "100 ms", 1000: "1 s", 10_000: "10 s", 60_000: "1 min", 600_000: "10 min"}
_HOURS = {3_600_000: "1 h", 36_000_000: "10 h", 360_000_000: "100 h"}
_LEFT, _TOP, _HEIGHT, _STEP, _LEAST = 70, 20, 260, 14, 640  # pixels


def history_page(environment: str, past: Past, slow: float) -> str:
    """A page about an environment; what took `slow` seconds or more is marked."""
    title = f"What was deployed to {environment}"
    marked = sum(entry.is_slow(slow) for entry in past.entries)
    head = (
        f"<header><h1>{text(title)}</h1>\n<p>{text(server_text(past.server, past.identity))}</p>\n"
        f"<p>{counted(len(past.entries), 'entry', 'entries')}; {marked} took {text(_limit(slow))} or more.</p></header>"
    )
    if not past.entries:
        return page(title, f'{head}\n<main id="content"><p>Nothing was deployed here yet.</p></main>')
    measured = [entry for entry in past.entries if entry.milliseconds is not None]
    plot = wide("Plot of durations", _plot(measured, slow)) if measured else "<p>No duration was recorded.</p>"
    heads = ("when (UTC)", "what", "migration", "duration", "who", "commit", "host", "WAL before")
    rows = [_row(entry, slow) for entry in reversed(past.entries)]
    return page(
        title,
        f'{head}\n<main id="content"><h2>Durations</h2>\n<p class="aside">In the order in which they ran, on a logarithmic '
        f"scale. A slow one is a square, and above the dashed line.</p>\n{plot}\n"
        f"<h2>Newest first</h2>\n{table('What was deployed', heads, rows)}</main>",
    )


def _row(entry: Entry, slow: float) -> list[Cell]:
    took = Cell("" if entry.milliseconds is None else text(duration_text(entry.milliseconds)), "number")
    if entry.is_slow(slow):
        took = Cell(f'<span class="slow">{took.html} slow</span>', "number")
    when = entry.at.strftime("%Y-%m-%d %H:%M:%S") if entry.at else "not known"
    return [
        Cell(text(when), "number"),
        Cell(text(entry.operation)),
        Cell(code(entry.id)),
        took,
        Cell(text(entry.actor)),
        Cell(code(entry.commit[:12])),
        Cell(text(entry.host)),
        Cell(code(entry.lsn)),
    ]


def _plot(measured: Sequence[Entry], slow: float) -> str:
    """One mark for each entry: its place from left to right is its turn, its height the logarithm of its duration."""
    longest = max(*(entry.milliseconds or 0 for entry in measured), 1000 * slow, 100)
    ticks = {**_TICKS, **_HOURS}
    top = next((each for each in ticks if each >= longest), max(ticks))
    step = max(_STEP, _LEAST // len(measured))
    width = _LEFT + step * len(measured) + 20

    def height(milliseconds: float) -> float:
        share = min(log10(max(milliseconds, 1)) / log10(top), 1.0)
        return round(_TOP + _HEIGHT * (1 - share), 1)

    lines = [
        f'<line class="grid" x1="{_LEFT}" x2="{width}" y1="{height(each)}" y2="{height(each)}"/>'
        f'<text class="aside" x="{_LEFT - 8}" y="{height(each) + 4}" text-anchor="end">{label}</text>'
        for each, label in ticks.items()
        if each <= top
    ]
    limit = height(1000 * slow)
    lines.append(f'<line class="limit" x1="{_LEFT}" x2="{width}" y1="{limit}" y2="{limit}"/>')
    for turn, entry in enumerate(measured):
        x, y = _LEFT + step * turn + step / 2, height(entry.milliseconds or 0)
        told = f"<title>{text(f'{entry.id} ({entry.operation}): {duration_text(entry.milliseconds or 0)}')}</title>"
        if entry.is_slow(slow):
            lines.append(f'<rect class="mark is-slow" x="{x - 5}" y="{y - 5}" width="10" height="10">{told}</rect>')
        else:
            lines.append(f'<circle class="mark" cx="{x}" cy="{y}" r="4.5">{told}</circle>')
    about = f"Durations of {counted(len(measured), 'entry', 'entries')}; the table below has the same numbers"
    return f'<svg role="img" aria-label="{about}" width="{width}" height="{_TOP + _HEIGHT + 20}">{"".join(lines)}</svg>'


def _limit(slow: float) -> str:
    return duration_text(round(1000 * slow))
