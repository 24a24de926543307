"""The page of `docs`: the schema that the migrations build, with everything that is known of each of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.console.pages import Cell, code, page, table, text, wide
from pipeline.console.pages.diagram import er_svg
from pipeline.console.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipeline.schema.documented import Documented, Part, Relation, Right

_TITLE = "The database's schema"
# In this order, under these heads; a kind that is new is told under its own name.
_KINDS = {
    "constraint": "Constraints",
    "index": "Indexes",
    "trigger": "Triggers",
    "policy": "Policies",
    "sequence": "Sequences",
}
_OWNER = "The owner, who runs the migrations, may do everything and is not listed. PUBLIC is every role."


def schema_page(found: Documented) -> str:
    """A page about the schema."""
    anchors = {relation.own.name: f"r{number}" for number, relation in enumerate(found.relations, start=1)}
    links = {
        drawn.label: f"#{anchors[drawn.qualified]}" for drawn in found.drawing.tables if drawn.qualified in anchors
    }
    keys = {(drawn.qualified, column.name): column.keys for drawn in found.drawing.tables for column in drawn.columns}
    last = f", up to {code(found.migrations[-1])}" if found.migrations else ""
    head = (
        f"<header><h1>{text(_TITLE)}</h1>\n<p>What {counted(len(found.migrations))} of this repository build{last}: "
        f"{counted(len(found.relations), 'table or view', 'tables and views')}.</p></header>"
    )
    contents = "".join(
        f'<li><a href="#{anchors[relation.own.name]}">{text(relation.own.name)}</a></li>'
        for relation in found.relations
    )
    sections = [_section(relation, anchors[relation.own.name], keys) for relation in found.relations]
    return page(
        _TITLE,
        f'{head}\n<nav aria-label="Tables"><ul>{contents}</ul></nav>\n<main id="content">'
        f'<h2>Diagram</h2>\n<p class="aside">Parents stand to the left. ? is a column that may be null; a ring is a parent that '
        f"may be missing, a bar one that is there; a fork is several children.</p>\n"
        f"{wide('Entity-relationship diagram', er_svg(found.drawing, links))}\n{''.join(sections)}{_others(found)}</main>",
    )


def _section(relation: Relation, anchor: str, keys: Mapping[tuple[str, str], str]) -> str:
    own = relation.own
    later = [id_ for id_ in relation.touched_by if id_ != own.made_by]
    origin = f"Made by {code(own.made_by)}" + (f", changed by {', '.join(map(code, later))}" if later else "")
    lines = [f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{text(own.name)}</h2>']
    lines += [f"<p>{text(own.comment)}</p>"] if own.comment else []
    lines.append(f'<p class="aside">{text(own.kind.capitalize())}. {origin}.</p>')
    if own.definition:
        lines.append(f"<p>{code(own.definition)}</p>")
    columns = [
        [
            Cell(code(each.name)),
            Cell(code(each.definition)),
            Cell(text(keys.get((own.name, _bare(each.name)), ""))),
            Cell(text(each.comment)),
            Cell(_origin(each)),
        ]
        for each in relation.of_kind("column")
    ]
    lines.append("<h3>Columns</h3>")
    lines.append(table(f"Columns of {own.name}", ("name", "definition", "keys", "comment", "migration"), columns))
    for kind, title in {
        **_KINDS,
        **{p.kind: p.kind.capitalize() for p in relation.parts if p.kind not in _KINDS},
    }.items():
        if kind != "column" and (parts := relation.of_kind(kind)):
            lines += [f"<h3>{text(title)}</h3>", _parts(f"{title} of {own.name}", parts)]
    lines.append("<h3>Who may do what</h3>")
    lines.append(
        _rights(f"Rights on {own.name}", relation.rights, own.name) if relation.rights else "<p>The owner alone.</p>"
    )
    return "\n".join([*lines, "</section>\n"])


def _others(found: Documented) -> str:
    lines = []
    if found.others:
        rows = [[Cell(text(each.kind)), *_told(each)] for each in found.others]
        heads = ("kind", "name", "definition", "comment", "migration")
        lines += ["<h2>What stands by itself</h2>", table("What stands by itself", heads, rows)]
    if found.rights:
        lines += ["<h2>Rights on the rest</h2>", _rights("Rights on the rest", found.rights, "")]
    return "\n".join([*lines, f'<p class="aside">{_OWNER}</p>'])


def _parts(label: str, parts: Iterable[Part]) -> str:
    rows = [_told(each) for each in parts]
    return table(label, ("name", "definition", "comment", "migration"), rows)


def _told(part: Part) -> list[Cell]:
    return [Cell(code(part.name)), Cell(code(part.definition)), Cell(text(part.comment)), Cell(_origin(part))]


def _rights(label: str, rights: Iterable[Right], relation: str) -> str:
    rows = [
        [
            Cell(code(each.role)),
            Cell("" if each.thing == f"table {relation}" else code(each.thing.removeprefix("table "))),
            Cell(text(each.rights)),
            Cell(code(each.made_by)),
        ]
        for each in rights
    ]
    return table(label, ("role", "on", "may", "migration"), rows)


def _origin(part: Part) -> str:
    return ", ".join(map(code, filter(None, (part.made_by, *part.changed_by))))


def _bare(name: str) -> str:
    """A name without the quotes that SQL needs."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
