"""An entity-relationship diagram as SVG: tables as boxes in columns, parents to the left, an arrow for each foreign key."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.console.pages import text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.schema.er_diagram import Arrow, Drawing, DrawnTable

_LINE, _PAD, _GAP_X, _GAP_Y = 20, 10, 90, 28  # pixels
_LETTER = (
    7.4  # pixels that a letter of 13 px takes at most, on average; a box is a little too wide rather than too narrow
)
_TALLEST = 1100  # pixels, from where on a level goes on in another column


@dataclass(frozen=True, slots=True)
class _Box:
    """Where a table stands, in pixels."""

    table: DrawnTable
    x: float
    y: float
    width: float

    @property
    def height(self) -> float:
        return _LINE * (len(self.table.columns) + 1) + _PAD

    def row(self, names: Sequence[str]) -> float:
        """The height of the first of these columns, in its middle."""
        at = next((n for n, column in enumerate(self.table.columns, start=1) if column.name in names), 0)
        return self.y + _LINE * at + _LINE / 2 + _PAD / 2


def er_svg(drawing: Drawing, links: Mapping[str, str]) -> str:
    """The diagram. `links` gives for a table's label where its section is on the page.

    A line leads from a parent to the column of a child, with a bar where each child has a parent, a ring where it may have
    none, and a fork where a parent may have several children.
    """
    boxes = _placed(drawing)
    width = max((box.x + box.width for box in boxes.values()), default=0) + 20
    height = max((box.y + box.height for box in boxes.values()), default=0) + 20
    begun: Counter[str] = Counter()
    drawn = []
    for each in drawing.arrows:
        if each.parent in boxes:
            drawn.append(_arrow(boxes[each.parent], boxes[each.child], each, begun[each.parent]))
            begun[each.parent] += 1
    drawn += [_box(box, links.get(label, "")) for label, box in boxes.items()]
    told = (
        f"{len(drawing.tables)} tables and {len(drawing.arrows)} foreign keys; the sections below say the same in words"
    )
    return (
        f'<svg role="img" aria-label="Entity-relationship diagram: {told}" width="{width:.0f}" height="{height:.0f}">'
        f"{''.join(drawn)}</svg>"
    )


def _placed(drawing: Drawing) -> dict[str, _Box]:
    """Each table one level to the right of its rightmost parent; a level that grows too tall goes on beside itself."""
    levels = _levels(drawing)
    boxes: dict[str, _Box] = {}
    x = 10.0
    for level in range(max(levels.values(), default=-1) + 1):
        y, widest = 10.0, 0.0
        for table in (each for each in drawing.tables if levels[each.label] == level):
            box = _Box(table, x, y, _width(table))
            if y > 10 and y + box.height > _TALLEST:
                x, y, widest = x + widest + _GAP_X / 2, 10.0, 0.0
                box = _Box(table, x, y, box.width)
            boxes[table.label] = box
            y += box.height + _GAP_Y
            widest = max(widest, box.width)
        x += widest + _GAP_X
    return boxes


def _levels(drawing: Drawing) -> dict[str, int]:
    """The length of the longest way to each table from one without parents; a circle is cut where it closes."""
    parents: dict[str, set[str]] = {table.label: set() for table in drawing.tables}
    for arrow in drawing.arrows:
        if arrow.parent in parents and arrow.parent != arrow.child:
            parents[arrow.child].add(arrow.parent)
    levels: dict[str, int] = {}

    def level(label: str, above: frozenset[str]) -> int:
        if label not in levels:
            ways = [level(each, above | {label}) for each in parents[label] if each not in above]
            levels[label] = max(ways, default=-1) + 1
        return levels[label]

    for label in sorted(parents):
        level(label, frozenset({label}))
    return levels


def _width(table: DrawnTable) -> float:
    longest = max([len(table.label) + 2, *(len(f"{c.name} {_type(c.type)} {c.keys}") + 3 for c in table.columns)])
    return longest * _LETTER + 2 * _PAD


def _type(type_: str) -> str:
    return re.sub(r"^timestamp(\(\d\))? with time zone", r"timestamptz\1", type_)


def _box(box: _Box, link: str) -> str:
    head = f'<text class="head" x="{box.x + _PAD}" y="{box.y + _LINE}">{text(box.table.label)}</text>'
    if link:
        head = f'<a href="{text(link)}">{head}</a>'
    rows = "".join(
        f'<text x="{box.x + _PAD}" y="{box.y + _LINE * (n + 1)}">{text(column.name)} '
        f'<tspan class="aside">{text(_type(column.type))}{"" if column.required else "?"} {text(column.keys)}</tspan></text>'
        for n, column in enumerate(box.table.columns, start=1)
    )
    return f'<g><rect class="box" x="{box.x}" y="{box.y}" width="{box.width:.0f}" height="{box.height}" rx="4"/>{head}{rows}</g>'


def _arrow(parent: _Box, child: _Box, arrow: Arrow, turn: int) -> str:
    """From the parent's right side to the child's left one; where that is no way forward, round by the right sides.

    It begins one step below that of the turn before, as long as there is room, so that their marks stand apart.
    """
    begin_x, begin_y = parent.x + parent.width, min(parent.row(()) + 14 * turn, parent.y + parent.height - 8)
    end_y = child.row(arrow.columns)
    forward = child.x > begin_x
    end_x = child.x if forward else child.x + child.width
    side = -1 if forward else 1
    bend = (end_x - begin_x) / 2 if forward else _GAP_X
    path = (
        f"M {begin_x:.0f} {begin_y:.0f} C {begin_x + bend:.0f} {begin_y:.0f}, "
        f"{end_x + side * abs(bend):.0f} {end_y:.0f}, {end_x:.0f} {end_y:.0f}"
    )
    tip = f"M {end_x + side * 12:.0f} {end_y:.0f} L {end_x:.0f}"
    fork = "" if arrow.is_single else f" {tip} {end_y - 6:.0f} {tip} {end_y + 6:.0f}"
    mark = (
        f'<circle class="arrow" cx="{begin_x + 8:.0f}" cy="{begin_y:.0f}" r="4"/>'
        if arrow.is_optional
        else f'<path class="arrow" d="M {begin_x + 8:.0f} {begin_y - 6:.0f} v 12"/>'
    )
    told = text(f"{arrow.child} ({', '.join(arrow.columns)}) refers to {arrow.parent}")
    return f'<g class="key"><title>{told}</title><path class="arrow" d="{path}{fork}"/>{mark}</g>'
