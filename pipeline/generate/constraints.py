"""Constraints on tables in use: added without reading the rows, and validated in a later file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.generate.parts import Late, Piece
from pipeline.generate.spelling import quoted, spelled
from pipeline.lint.phrase import altered_table

if TYPE_CHECKING:
    from pipeline.generate.facts import Facts
    from pipeline.migrations.sql_text import Statement

_NOT_VALID = "New rows are checked from here on. Those that are there follow in a later file, without stopping writers."
_VALIDATED = "Reads all rows, under a lock that lets services read and write."
_PROVEN = "NOT NULL needs no look at the rows now: the validated check has proven it. The check has done its work then."


def late_constraint(statement: Statement, before: Facts, new_tables: frozenset[str]) -> Late | None:
    """Treat ADD CONSTRAINT of a foreign key, a check or a uniqueness on a table that was there before."""
    table, clauses = altered_table(statement)
    if len(clauses) != 1 or table in new_tables or not before.takes_rows(table):
        return None
    clause = clauses[0]
    if not clause.take("ADD", "CONSTRAINT"):
        return None
    name, definition = clause.name(), clause.rest_text
    if clause.take("UNIQUE"):
        return _unique(table, name, definition)
    if not clause.take_any("FOREIGN KEY", "CHECK") or statement.words[-2:] == ("NOT", "VALID"):
        return None
    if definition.startswith("FOREIGN KEY") and before.tables[table].kind == "p":
        return None
    added = spelled(_added(table, name, f"{definition} NOT VALID"))
    validated = f"ALTER TABLE {quoted(table)} VALIDATE CONSTRAINT {quoted(name)}"
    return Late(
        f"{table} {name}",  # the constraint is there at once: nothing has to wait for it
        now=(Piece(added, _NOT_VALID, undo=(_dropped(table, name),)),),
        behind=(Piece(validated, _VALIDATED, undo=(_dropped(table, name), added)),),
    )


def late_not_null(statement: Statement, before: Facts, new_tables: frozenset[str]) -> Late | None:
    """Treat SET NOT NULL on a column that was there before."""
    table, clauses = altered_table(statement)
    if len(clauses) != 1 or table in new_tables or not before.takes_rows(table):
        return None
    clause = clauses[0]
    if not clause.take("ALTER", "COLUMN"):
        return None
    column = clause.name()
    if column not in before.tables[table].columns or not clause.take("SET", "NOT", "NULL"):
        return None
    name = f"{table.split('.')[-1]}_{column}_not_null"[:63]
    check = _added(table, name, f"CHECK ({quoted(column)} IS NOT NULL) NOT VALID")
    alter = f"ALTER TABLE {quoted(table)} ALTER COLUMN {quoted(column)}"
    return Late(
        not_null_name(table, column),
        now=(Piece(check, _NOT_VALID, undo=(_dropped(table, name),)),),
        behind=(
            Piece(f"ALTER TABLE {quoted(table)} VALIDATE CONSTRAINT {quoted(name)}", _VALIDATED, undo=(check,)),
            Piece(f"{alter} SET NOT NULL", _PROVEN, undo=(f"{alter} DROP NOT NULL",)),
            Piece(_dropped(table, name), undo=()),
        ),
    )


def not_null_name(table: str, column: str) -> str:
    """What others wait for when a column becomes NOT NULL in a later file."""
    return f"{table} {column} NOT NULL"


def _unique(table: str, name: str, definition: str) -> Late:
    """A unique constraint is an index underneath: build that first, then make it the constraint."""
    columns = definition.removeprefix("UNIQUE").strip()
    nulls = ""
    if columns.startswith("NULLS NOT DISTINCT"):
        columns, nulls = columns.removeprefix("NULLS NOT DISTINCT").strip(), " NULLS NOT DISTINCT"
    closing = _closing(columns)
    columns, rest = columns[: closing + 1], columns[closing + 1 :].strip()
    if rest.startswith("INCLUDE"):
        closing = _closing(rest)
        columns, rest = f"{columns} {rest[: closing + 1]}", rest[closing + 1 :].strip()
    index = spelled(f"CREATE UNIQUE INDEX CONCURRENTLY {quoted(name)} ON {quoted(table)} {columns}{nulls}")
    attached = (
        f"ALTER TABLE {quoted(table)} ADD CONSTRAINT {quoted(name)} UNIQUE USING INDEX {quoted(name)} {rest}".rstrip()
    )
    # Taking the constraint away takes its index along: the rollback of the file before expects to find one.
    back = index.replace("CONCURRENTLY ", "", 1)
    return Late(
        name,
        outside=(
            Piece(
                index,
                "The index that the constraint will stand on, built while services go on writing.",
                undo=(f"DROP INDEX CONCURRENTLY {quoted(name)}",),
            ),
        ),
        behind=(Piece(attached, "The index is there: nothing is read.", undo=(_dropped(table, name), back)),),
    )


def _added(table: str, name: str, definition: str) -> str:
    return f"ALTER TABLE {quoted(table)} ADD CONSTRAINT {quoted(name)} {definition}"


def _dropped(table: str, name: str) -> str:
    return f"ALTER TABLE {quoted(table)} DROP CONSTRAINT {quoted(name)}"


def _closing(text: str) -> int:
    depth = 0
    for at, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0 and character == ")":
            return at
    return len(text) - 1
