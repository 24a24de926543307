"""Indexes on tables in use: built and dropped CONCURRENTLY, each in a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.generate.parts import Late, Piece
from pipeline.generate.spelling import quoted, spelled
from pipeline.lint.phrase import Phrase, altered_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.generate.facts import Facts
    from pipeline.migrations.sql_text import Statement

_BUILT = (
    "Built while services go on writing, which cannot be done inside a transaction. After an interruption the next run "
    "clears up what was left and builds it again."
)
_DROPPED = "Dropped while services go on writing, which cannot be done inside a transaction."


def late_index(
    statement: Statement, before: Facts, new_tables: frozenset[str], everything: Sequence[Statement]
) -> Late | None:
    """Treat CREATE INDEX and DROP INDEX on a table that was there before; None for anything else."""
    phrase = Phrase(statement)
    if phrase.take("DROP", "INDEX"):
        return _dropped(phrase.name(), before, everything)
    if not phrase.take("CREATE"):
        return None
    unique = phrase.take("UNIQUE")
    if not phrase.take("INDEX"):
        return None
    name = phrase.name()
    if not phrase.take("ON"):
        return None
    table = phrase.name()
    if table in new_tables or not before.takes_rows(table):
        return None
    sql = concurrently(statement.text, unique=unique)
    return Late(name, outside=(Piece(sql, _BUILT, undo=(f"DROP INDEX CONCURRENTLY {quoted(name)}",)),))


def concurrently(definition: str, *, unique: bool) -> str:
    """Write CREATE INDEX as CREATE INDEX CONCURRENTLY."""
    head = "CREATE UNIQUE INDEX " if unique else "CREATE INDEX "
    return spelled(definition.replace(head, f"{head}CONCURRENTLY ", 1))


def _dropped(name: str, before: Facts, everything: Sequence[Statement]) -> Late | None:
    index = before.indexes.get(name)
    if index is None or not before.takes_rows(index.table) or _goes_with_its_table(index.table, everything):
        return None
    back = concurrently(index.definition, unique=index.definition.startswith("CREATE UNIQUE"))
    piece = Piece(f"DROP INDEX CONCURRENTLY {quoted(name)}", _DROPPED, undo=(back,))
    return Late(name, outside=(piece,))


def _goes_with_its_table(table: str, everything: Sequence[Statement]) -> bool:
    """Whether the table or one of its columns is dropped or changed: then the index must go first."""
    for statement in everything:
        phrase = Phrase(statement)
        if phrase.take("DROP", "TABLE") and phrase.name() == table:
            return True
        altered, clauses = altered_table(statement)
        if altered == table and any(_touches_columns(clause) for clause in clauses):
            return True
    return False


def _touches_columns(clause: Phrase) -> bool:
    words = clause.clause_words()
    return words[:2] == ("DROP", "COLUMN") or (words[:1] == ("ALTER",) and "TYPE" in words)
