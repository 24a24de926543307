"""A timeline of locks as SVG: for each table when its reads and its writes wait during a deploy, and for how long.

It is as wide as its place: what lies on the axis is in percent, and letters keep their size on a phone. Files that keep nobody
waiting have no place on the axis, where hours of an index that is built aside would squeeze the seconds that matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.console.pages import text
from pipeline.console.rehearsal import span
from pipeline.console.rehearsal.waiting import shut_in, shutting, waits_by_table
from pipeline.console.text import counted, duration_text
from pipeline.rehearsal.budgets import BLOCKED
from pipeline.rehearsal.values import READS, WRITES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.console.rehearsal.waiting import Shut
    from pipeline.rehearsal.budgets import Verdict
    from pipeline.rehearsal.values import FileMeasurement

_LEFT, _RIGHT = 136, 6  # pixels beside the plot: the lanes' names and sums, and half of a bar that has its least width
_HEAD, _NAME, _LANE, _GAP = 46, 24, 20, 12  # pixels: files and axis; a table's name; a lane; below a table
_MOST_TICKS = 5  # intervals that have room for their labels on a phone
_LONGEST = 30  # letters of a table's name that have room there
_MILLISECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18_000, 36_000, 86_400)

_PATTERNS = (
    '<defs><pattern id="hatched" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="ground" width="6" height="6"/><rect class="mark" width="3" height="6"/></pattern></defs>'
)
_LEGEND = (
    ("is-within", "within the budget"),
    ("is-slow", "over the budget"),
    ("is-accepted", "accepted by the file"),
    ("is-vague", "for so long, at an unknown moment of its statement"),
)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where a moment lies between the two ends, in percent. `begins` are the files' begins, in milliseconds."""

    whole: float
    begins: dict[str, float]

    def share(self, milliseconds: float) -> float:
        return round(100 * min(milliseconds / self.whole, 1.0), 3)


def timeline_svg(files: Sequence[FileMeasurement], verdict: Verdict | None) -> str:
    """The timeline of what was measured; empty where nobody waits for anything."""
    drawn = shutting(files)
    if not drawn:
        return ""
    begins, clock = {}, 0.0
    for file in drawn:
        begins[file.id] = clock
        clock += file.milliseconds
    axis = _Axis(clock, begins)
    waits = waits_by_table(drawn)
    over = _over(verdict)
    height = _HEAD + len(waits) * (_NAME + 2 * _LANE + _GAP)
    names, lanes = [], []
    top: float = _HEAD
    for table, reads, writes in waits:
        names.append(_name(table, top, is_over=table in over))
        top += _NAME
        for what, milliseconds in ((READS, reads), (WRITES, writes)):
            names.append(_sum(what, milliseconds, top, is_over=table in over))
            lanes.append(f'<line class="grid" x1="0" x2="100%" y1="{top + _LANE - 3}" y2="{top + _LANE - 3}"/>')
            for file in drawn:
                lanes += [
                    _bar(shut, axis, top, _style(shut, over))
                    for shut in shut_in(file)
                    if (shut.table, shut.what) == (table, what)
                ]
            top += _LANE
        top += _GAP
    plot = "".join([*_bands(drawn, axis, height), *_ticks(axis, height), *lanes])
    return (
        f'<div class="timeline" style="padding: 0 {_RIGHT}px 0 {_LEFT}px">'
        f'<svg class="names" aria-hidden="true" width="{_LEFT}" height="{height}">{"".join(names)}</svg>'
        f'<svg class="plot" role="img" aria-labelledby="timeline-title" aria-describedby="timeline-told" width="100%" '
        f'height="{height}"><title id="timeline-title">Who waits for which table, when, and for how long</title>'
        f'<desc id="timeline-told">{text(_told(waits))}</desc>{_PATTERNS}{plot}</svg></div>'
    )


def legend(files: Sequence[FileMeasurement], verdict: Verdict | None) -> str:
    """What the bars of the timeline mean: of those that it has."""
    used = {_style(shut, _over(verdict)) for file in files for shut in shut_in(file)}
    shown = [each for each in _LEGEND if any(each[0] in styles for styles in used)]
    return (
        f'<ul class="legend">{"".join(f"<li>{_swatch(style)} {text(meaning)}</li>" for style, meaning in shown)}</ul>'
    )


def _swatch(style: str) -> str:
    return f'<svg class="swatch" aria-hidden="true" width="26" height="14">{_mark(style, 1, 1, "24", "")}</svg>'


def _told(waits: Sequence[tuple[str, float, float]]) -> str:
    """The sums of each table in words; the table below the timeline has the rest."""
    tables = "; ".join(f"{table}: reads {span(reads)}, writes {span(writes)}" for table, reads, writes in waits)
    return f"{counted(len(waits), 'table')}, the longest wait first. {tables}. The table below has every wait."


def _name(table: str, top: float, *, is_over: bool) -> str:
    shown = table if len(table) <= _LONGEST else f"{table[: _LONGEST - 1]}…"
    mark = ' <tspan class="slow">over the budget</tspan>' if is_over else ""
    return f'<text class="head" x="0" y="{top + 17}">{text(shown)}{mark}<title>{text(table)}</title></text>'


def _sum(what: str, milliseconds: float, top: float, *, is_over: bool) -> str:
    told, style = (span(milliseconds), "slow" if is_over else "") if milliseconds else ("no wait", "aside")
    return (
        f'<text class="aside" x="0" y="{top + 13}">{what}</text>'
        f'<text class="{style}" x="{_LEFT - 10}" y="{top + 13}" text-anchor="end">{told}</text>'
    )


def _over(verdict: Verdict | None) -> set[str]:
    return {each.table for each in (verdict.breaks if verdict else ()) if each.what == BLOCKED}


def _style(shut: Shut, over: set[str]) -> str:
    style = "is-accepted" if shut.file.accepted else "is-slow" if shut.table in over else "is-within"
    return style if shut.is_exact else f"{style} is-vague"


def _bar(shut: Shut, axis: _Axis, top: float, style: str) -> str:
    told = f"{shut.file.id}: {shut.what} of {shut.table} wait for {span(shut.milliseconds)}"
    return _mark(
        style,
        f"{axis.share(axis.begins[shut.file.id] + shut.begin)}%",
        top + 2,
        f"{axis.share(shut.milliseconds)}%",
        f"<title>{text(told)}</title>",
    )


def _mark(style: str, x: float | str, y: float, width: str, inner: str) -> str:
    """A bar, and never so thin that nobody sees it."""
    wide = f"max(3px, {width})" if width.endswith("%") else f"{width}px"
    return f'<rect class="mark {style}" x="{x}" y="{y}" width="{width}" height="12" rx="1" style="width: {wide}">{inner}</rect>'


def _bands(drawn: Sequence[FileMeasurement], axis: _Axis, height: float) -> list[str]:
    """A stripe for each file, every second one shaded, with its number where there is room for it."""
    lines = []
    for turn, file in enumerate(drawn):
        begin, width = axis.share(axis.begins[file.id]), axis.share(file.milliseconds)
        told = f"<title>{text(f'{file.id}: {span(file.milliseconds)}')}</title>"
        style = "band" if turn % 2 else "band is-even"
        lines.append(f'<rect class="{style}" x="{begin}%" y="0" width="{width}%" height="{height}">{told}</rect>')
        if width >= 14:
            number = text(file.id.partition("_")[0][:7])
            lines.append(f'<text class="number" x="{begin + width / 2}%" y="14" text-anchor="middle">{number}</text>')
    return lines


def _ticks(axis: _Axis, height: float) -> list[str]:
    steps = [*_MILLISECONDS, *(1000 * each for each in _SECONDS)]
    step = next((each for each in steps if axis.whole / each <= _MOST_TICKS), steps[-1])
    lines = []
    for turn in range(int(axis.whole / step) + 1):
        x = axis.share(turn * step)
        anchor = "start" if turn == 0 else "end" if x > 92 else "middle"
        lines.append(f'<line class="grid" x1="{x}%" x2="{x}%" y1="{_HEAD - 8}" y2="{height}"/>')
        lines.append(
            f'<text class="number" x="{x}%" y="{_HEAD - 13}" text-anchor="{anchor}">{_label(turn * step)}</text>'
        )
    return lines


def _label(milliseconds: float) -> str:
    if not milliseconds:
        return "0"
    if milliseconds < 1:
        return f"{milliseconds:.1f} ms"
    if 60_000 <= milliseconds < 120_000:
        return f"{milliseconds / 1000:.0f} s"
    return duration_text(round(milliseconds)).removesuffix(" 0 s").removesuffix(" 0 min")
