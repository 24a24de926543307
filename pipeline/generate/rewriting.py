"""Small corrections to what the differ writes, and what in it a gate without rows cannot judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.generate.losses import casts_by_itself, new_type, widens
from pipeline.generate.parts import Piece
from pipeline.generate.spelling import quoted, spelled
from pipeline.lint.column_types import rewrites
from pipeline.migrations.phrase import altered_table

if TYPE_CHECKING:
    from pipeline.migrations.phrase import Phrase
    from pipeline.migrations.sql_text import Statement
    from pipeline.schema.facts import Column, Facts

_WITH_KEY = (
    "A new column without a default is null in every row, so PostgreSQL takes the foreign key that comes with it as valid "
    "without reading the table."
)
_ABOUT_KEY = ("adding-foreign-key-constraint", "there is nothing to read, see above")


def rewritten(statement: Statement, before: Facts) -> Piece | None:
    """Write the statement as a piece, or None when it does nothing."""
    table, clauses = altered_table(statement)
    if len(clauses) == 1 and table in before.tables:
        clause = clauses[0]
        if clause.take("ALTER", "COLUMN"):
            column = before.tables[table].columns.get(name := clause.name())
            if column is not None and clause.take("DROP", "DEFAULT") and not column.has_default:
                return None
            if column is not None and clause.take("TYPE"):
                return _retyped(table, name, column, clause)
        if _is_new_key(clauses[0]):
            return Piece(spelled(statement.text), _WITH_KEY, answers=(_ABOUT_KEY,))
    return Piece(spelled(statement.text))


def _is_new_key(clause: Phrase) -> bool:
    """Whether the clause adds a column with its foreign key, as `merging` says it."""
    if not clause.take("ADD", "COLUMN"):
        return False
    words = clause.clause_words()
    return "REFERENCES" in words and "DEFAULT" not in words


def doubt_about(statement: Statement, before: Facts, new_tables: frozenset[str]) -> str:
    """Say why a statement fails on a table that has rows, though it works on the gate's empty one."""
    table, clauses = altered_table(statement)
    if table in new_tables or not before.takes_rows(table):
        return ""
    for clause in clauses:
        if not clause.take("ADD", "COLUMN"):
            continue
        column, words = clause.name(), clause.clause_words()
        required = any(words[at : at + 2] == ("NOT", "NULL") for at in range(len(words)))
        filled = {"DEFAULT", "GENERATED", "SERIAL", "BIGSERIAL"} & set(words)
        if required and not filled:
            return (
                f"{quoted(table)}.{quoted(column)} is NOT NULL and has no default, so adding it fails on every table "
                "that has rows. Give it a default in schema.sql; or write here: add it without NOT NULL, fill it, add "
                "a CHECK (… IS NOT NULL) NOT VALID, and in a second file validate that and SET NOT NULL."
            )
    return ""


def _retyped(table: str, name: str, column: Column, clause: Phrase) -> Piece:
    type_ = new_type(clause)
    head = f"ALTER TABLE {quoted(table)} ALTER COLUMN {quoted(name)} TYPE "
    text = clause.rest_text
    if casts_by_itself(column.type, type_):
        text = text.split(" USING ")[0]
        if not rewrites(column.type, type_):
            return Piece(
                spelled(head + text), answers=(("table-rewrite", f"from {column.type} no row is written again"),)
            )
        why = "" if widens(column.type, type_) else f"It was {column.type}. A value that does not fit stops this file."
        return Piece(spelled(head + text), why)
    return Piece(
        spelled(head + text), f"It was {column.type}. Rows are converted one by one: look at the USING clause."
    )
