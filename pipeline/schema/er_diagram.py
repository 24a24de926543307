"""The tables of a database as a Mermaid entity-relationship diagram, and a page that shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from pipeline.history.tables import HISTORY_SCHEMAS, HISTORY_TABLES
from pipeline.kinds import FOR_DETAILS, OF_DIAGRAM, union

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from dbclient.url import DatabaseURL

_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})(?: |$)", re.MULTILINE)
_BLOCK = re.compile(r"```mermaid\nerDiagram\n.*?```\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DrawnColumn:
    """A column; `keys` says what it is a part of: P(rimary), F(oreign), U(nique by itself), as "PK, FK"."""

    table: str
    name: str
    type: str
    required: bool
    keys: str


@dataclass(frozen=True, slots=True)
class DrawnTable:
    """A table: its name as in SQL, its label in the drawing, and its columns with their keys first and then by name."""

    qualified: str
    label: str
    columns: tuple[DrawnColumn, ...]


@dataclass(frozen=True, slots=True)
class Arrow:
    """A foreign key between two tables, by their labels.

    `is_optional`: a child may have no parent; `is_single`: a parent has one child at most.
    """

    parent: str
    child: str
    name: str
    columns: tuple[str, ...]
    is_optional: bool
    is_single: bool


@dataclass(frozen=True)
class Drawing:
    """What there is to draw: arrows by parent, child and name, tables by label."""

    tables: tuple[DrawnTable, ...]
    arrows: tuple[Arrow, ...]


def read_drawing(
    connection: psycopg.Connection[Any],
    *,
    ignore_schemas: Collection[str] = HISTORY_SCHEMAS,
    ignore_tables: Collection[str] = HISTORY_TABLES,
) -> Drawing:
    """Read every table of the database with its columns and foreign keys."""
    details = union(OF_DIAGRAM, ignored_schemas=ignore_schemas, ignored_tables=ignore_tables)
    found: dict[str, list[dict[str, Any]]] = {"table": [], "index": [], "constraint": []}
    for kind, detail in connection.execute(details + sql.SQL("SELECT kind, detail FROM everything")):
        found[kind].append(detail)
    tables = {table["name"]: table for table in found["table"]}
    whole = {name: table for name, table in tables.items() if table["kind"] in {"r", "p"} and table["part_of"] is None}
    unique = [index for index in found["index"] if index["unique"]]
    keys = [key for key in found["constraint"] if key["type"] in {"p", "f"} and key["table"] in whole]
    arrows = [
        _arrow(tables[key["refers_to"]]["label"], whole[key["table"]], key, unique)
        for key in keys
        if key["type"] == "f" and key["refers_to"] in tables
    ]
    drawn = [
        DrawnTable(table["qualified"], table["label"], tuple(sorted(_columns(table, keys, unique), key=_key_first)))
        for table in whole.values()
    ]
    return Drawing(
        tuple(sorted(drawn, key=lambda table: (table.label, table.qualified))),
        tuple(sorted(arrows, key=lambda arrow: (arrow.parent, arrow.child, arrow.name))),
    )


def er_diagram(
    connection: psycopg.Connection[Any],
    *,
    ignore_schemas: Collection[str] = HISTORY_SCHEMAS,
    ignore_tables: Collection[str] = HISTORY_TABLES,
) -> str:
    """Draw every table of the database with its columns and foreign keys, as Mermaid text that ends in a newline.

    Columns come with their keys first and then by name, so that their order on disk does not matter.
    """
    drawing = read_drawing(connection, ignore_schemas=ignore_schemas, ignore_tables=ignore_tables)
    lines = ["erDiagram"]
    for arrow in drawing.arrows:
        from_parent = "|o" if arrow.is_optional else "||"
        to_child = "o|" if arrow.is_single else "o{"
        lines.append(f'    "{arrow.parent}" {from_parent}--{to_child} "{arrow.child}" : "{", ".join(arrow.columns)}"')
    for table in drawing.tables:
        if table.columns:
            lines.append(f'    "{table.label}" {{')
            lines += [f"        {_drawn(column)}" for column in table.columns]
            lines.append("    }")
    return "\n".join(lines) + "\n"


def _arrow(parent: str, table: Mapping[str, Any], key: Mapping[str, Any], unique: Iterable[Mapping[str, Any]]) -> Arrow:
    of_key = [column for column in table["columns"] if column[0] in key["columns"]]
    return Arrow(
        parent,
        table["label"],
        key["name"],
        tuple(sorted(name for _, name, *_ in of_key)),
        is_optional=not all(required for _, _, _, required, _ in of_key),
        is_single=any(_is_single(index, key) for index in unique),
    )


def _is_single(index: Mapping[str, Any], key: Mapping[str, Any]) -> bool:
    """Whether the unique index lets a parent have one child at most."""
    is_whole = index["table"] == key["table"] and not index["partial"]
    return is_whole and set(index["columns"]) <= set(key["columns"])


def _columns(
    table: Mapping[str, Any], keys: Iterable[Mapping[str, Any]], unique: Iterable[Mapping[str, Any]]
) -> Iterator[DrawnColumn]:
    """The columns with their keys: P(rimary), F(oreign), U(nique by itself)."""
    own = [key for key in keys if key["table"] == table["name"]]
    single = [index["columns"] for index in unique if index["table"] == table["name"] and not index["primary"]]
    for number, name, type_, required, _ in table["columns"]:
        kinds = {key["type"] for key in own if number in key["columns"]}
        shown = [
            mark for mark, is_one in (("PK", "p" in kinds), ("FK", "f" in kinds), ("UK", [number] in single)) if is_one
        ]
        yield DrawnColumn(table["label"], name, type_, required, ", ".join(shown))


def redrawn(page: Path, database: DatabaseURL) -> str | None:
    """Give the page's text with the diagram of this database; None when it shows that already, or has no diagram.

    A diagram is a block of Mermaid that begins with `erDiagram`.
    """
    if not page.is_file():
        return None
    client = database.for_psycopg()
    with psycopg.connect(client.dsn, **client.connect) as connection:
        connection.execute(FOR_DETAILS)
        drawn = er_diagram(connection)
    text = page.read_text(encoding="utf-8")
    new = _BLOCK.sub(lambda _: f"```mermaid\n{drawn}```\n", text, count=1)
    return None if new == text else new


def in_conflict(page: Path) -> bool:
    """Whether git left a conflict within the diagram, which nobody needs to solve by hand."""
    if not page.is_file():
        return False
    found = _BLOCK.search(page.read_text(encoding="utf-8"))
    return found is not None and _CONFLICT.search(found[0]) is not None


def write_page(page: Path, text: str | None) -> Path | None:
    """Write what `redrawn` gave, and give the page if it was written."""
    if text is None:
        return None
    page.write_text(text, encoding="utf-8", newline="\n")
    return page


def _key_first(column: DrawnColumn) -> tuple[bool, bool, str]:
    return ("PK" not in column.keys, "FK" not in column.keys, column.name)


def _drawn(column: DrawnColumn) -> str:
    # Mermaid takes no blanks in a type, and parentheses and brackets only behind letters.
    short = re.sub(r"^timestamp(\(\d\))? with time zone", r"timestamptz\1", column.type).replace(" ", "_")
    return " ".join(filter(None, [short, column.name, column.keys, "" if column.required else '"may be null"']))
