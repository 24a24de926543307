"""Indexes on tables in use: built and dropped CONCURRENTLY, each in a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.generate.new_migrations import NewStatement, SplitStatement
from pipeline.generate.style import new_name, quoted, spelled
from pipeline.migrations.phrase import Phrase, altered_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.migrations.sql_text import Statement
    from pipeline.schema.facts import Facts

_BUILT = (
    "Built while services go on writing, which cannot be done inside a transaction. After an interruption the next run "
    "clears up what was left and builds it again."
)
_DROPPED = "Dropped while services go on writing, which cannot be done inside a transaction."


def split_index(
    statement: Statement, before: Facts, new_tables: frozenset[str], everything: Sequence[Statement]
) -> SplitStatement | None:
    """Treat CREATE INDEX and DROP INDEX on a table that was there before; None for anything else."""
    phrase = Phrase(statement)
    if phrase.take("DROP", "INDEX"):
        name = phrase.name()
        return SplitStatement(name) if _is_replaced(name, before, everything) else _dropped(name, before, everything)
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
    schema, dot, _ = table.rpartition(".")
    name = f"{schema}{dot}{name}"  # an index stands in its table's schema
    if _is_replaced(name, before, everything):
        return _replaced(statement.text, name, before, unique=unique)
    sql = concurrently(statement.text, unique=unique)
    return SplitStatement(
        name, concurrent=(NewStatement(sql, _BUILT, undo=(f"DROP INDEX CONCURRENTLY {quoted(name)}",)),)
    )


def concurrently(definition: str, *, unique: bool) -> str:
    """Write CREATE INDEX as CREATE INDEX CONCURRENTLY."""
    head = "CREATE UNIQUE INDEX " if unique else "CREATE INDEX "
    return spelled(definition.replace(head, f"{head}CONCURRENTLY ", 1))


def _is_replaced(name: str, before: Facts, everything: Sequence[Statement]) -> bool:
    """Whether the index goes and another of its name comes, and nothing else needs it to go first."""
    index = before.indexes.get(name)
    if index is None or index.constraint or not before.takes_rows(index.table):
        return False
    if _goes_with_its_table(index.table, everything):
        return False
    done = {(statement.words[0], _name_of(statement)) for statement in everything}
    return {("DROP", name), ("CREATE", name)} <= done


def _name_of(statement: Statement) -> str:
    """The index that the statement makes or drops."""
    phrase = Phrase(statement)
    verb = phrase.take_any("DROP", "CREATE")
    phrase.take("UNIQUE")
    if not verb or not phrase.take("INDEX"):
        return ""
    name = phrase.name()
    if verb == "CREATE" and phrase.take("ON"):
        phrase.take("ONLY")
        schema, dot, _ = phrase.name().rpartition(".")
        return f"{schema}{dot}{name}"
    return name


def _replaced(definition: str, name: str, before: Facts, *, unique: bool) -> SplitStatement:
    """The new index first, then the old one goes: what it enforces and speeds up is never without it."""
    schema, dot, bare = name.rpartition(".")
    beside = new_name(bare)
    full = f"{schema}{dot}{beside}"
    sql = concurrently(definition, unique=unique).replace(quoted(bare), quoted(beside), 1)
    old = before.indexes[name].definition
    undo = concurrently(old, unique=old.startswith("CREATE UNIQUE"))
    rename, renamed_back = (
        f"ALTER INDEX {quoted(full)} RENAME TO {quoted(bare)}",
        f"ALTER INDEX {quoted(name)} RENAME TO {quoted(beside)}",
    )
    return SplitStatement(
        name,
        concurrent=(
            NewStatement(sql, _BUILT, undo=(f"DROP INDEX CONCURRENTLY {quoted(full)}",)),
            NewStatement(f"DROP INDEX CONCURRENTLY {quoted(name)}", _DROPPED, undo=(undo,)),
        ),
        finishing=(NewStatement(rename, undo=(renamed_back,)),),
    )


def _dropped(name: str, before: Facts, everything: Sequence[Statement]) -> SplitStatement | None:
    index = before.indexes.get(name)
    if index is None or not before.takes_rows(index.table) or _goes_with_its_table(index.table, everything):
        return None
    undo = concurrently(index.definition, unique=index.definition.startswith("CREATE UNIQUE"))
    dropped = NewStatement(f"DROP INDEX CONCURRENTLY {quoted(name)}", _DROPPED, undo=(undo,))
    return SplitStatement(name, concurrent=(dropped,))


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
