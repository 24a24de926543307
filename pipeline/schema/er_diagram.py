"""The tables of a database as a Mermaid entity-relationship diagram, and a page that shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from pipeline.schema.catalog import HISTORY_SCHEMAS, HISTORY_TABLES

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from chatdb.url import DatabaseURL

# A column with its keys: P(rimary), F(oreign), U(nique by itself).
_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       concat_ws(', ',
           (SELECT 'PK' FROM pg_constraint AS k
            WHERE k.conrelid = c.oid AND k.contype = 'p' AND a.attnum = ANY (k.conkey)),
           (SELECT DISTINCT 'FK' FROM pg_constraint AS k
            WHERE k.conrelid = c.oid AND k.contype = 'f' AND a.attnum = ANY (k.conkey)),
           (SELECT DISTINCT 'UK' FROM pg_index AS x
            WHERE x.indrelid = c.oid AND x.indisunique AND NOT x.indisprimary AND x.indkey::text = a.attnum::text))
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> ALL (%(schemas)s)
  AND c.relname <> ALL (%(tables)s)
ORDER BY c.relname, a.attname
"""

# A foreign key: parent and child, its columns, whether one may be null, and whether a parent has at most one child.
_FOREIGN_KEYS = """
SELECT p.relname, c.relname,
       (SELECT string_agg(attname, ', ' ORDER BY attname)
        FROM pg_attribute WHERE attrelid = c.oid AND attnum = ANY (k.conkey)),
       EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attnum = ANY (k.conkey) AND NOT attnotnull),
       EXISTS (SELECT FROM pg_index AS x WHERE x.indrelid = c.oid AND x.indisunique AND x.indpred IS NULL
                                           AND x.indkey::int2[] <@ k.conkey)
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_class AS p ON p.oid = k.confrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND NOT c.relispartition AND n.nspname <> ALL (%(schemas)s) AND c.relname <> ALL (%(tables)s)
ORDER BY p.relname, c.relname, k.conname
"""

_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})(?: |$)", re.MULTILINE)
_BLOCK = re.compile(r"```mermaid\nerDiagram\n.*?```\n", re.DOTALL)


@dataclass(frozen=True)
class _Column:
    table: str
    name: str
    type: str
    required: bool
    keys: str


def er_diagram(
    connection: psycopg.Connection[Any],
    *,
    ignore_schemas: Collection[str] = HISTORY_SCHEMAS,
    ignore_tables: Collection[str] = HISTORY_TABLES,
) -> str:
    """Draw every table of the database with its columns and foreign keys, as Mermaid text that ends in a newline.

    Columns come with their keys first and then by name, so that their order on disk does not matter.
    """
    ignored = {"schemas": list(ignore_schemas), "tables": list(ignore_tables)}
    columns = [_Column(*row) for row in connection.execute(_COLUMNS, ignored)]
    lines = ["erDiagram"]
    for parent, child, names, optional, single in connection.execute(_FOREIGN_KEYS, ignored):
        from_parent = "|o" if optional else "||"
        to_child = "o|" if single else "o{"
        lines.append(f'    "{parent}" {from_parent}--{to_child} "{child}" : "{names}"')
    for table in sorted({column.table for column in columns}):
        lines.append(f'    "{table}" {{')
        of_table = sorted((column for column in columns if column.table == table), key=_key_first)
        lines += [f"        {_drawn(column)}" for column in of_table]
        lines.append("    }")
    return "\n".join(lines) + "\n"


def redrawn(page: Path, database: DatabaseURL) -> str | None:
    """Give the page's text with the diagram of this database; None when it shows that already, or has no diagram.

    A diagram is a block of Mermaid that begins with `erDiagram`.
    """
    if not page.is_file():
        return None
    client = database.for_psycopg()
    with psycopg.connect(client.dsn, **client.connect) as connection:
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


def _key_first(column: _Column) -> tuple[bool, bool, str]:
    return ("PK" not in column.keys, "FK" not in column.keys, column.name)


def _drawn(column: _Column) -> str:
    # Mermaid takes no blanks in a type, and parentheses and brackets only behind letters.
    short = re.sub(r"^timestamp(\(\d\))? with time zone", r"timestamptz\1", column.type).replace(" ", "_")
    return " ".join(filter(None, [short, column.name, column.keys, "" if column.required else '"may be null"']))
