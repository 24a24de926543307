"""Constraints on tables in use: added without reading the rows, and validated in a later file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.generate.new_migrations import NewStatement, SplitStatement
from pipeline.generate.style import new_name, quoted, spelled
from pipeline.migrations.phrase import Phrase, altered_table
from pipeline.migrations.sql_text import statements

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.migrations.sql_text import Statement
    from pipeline.schema.facts import Facts

_NOT_VALID = "New rows are checked from here on. Those that are there follow in a later file, without stopping writers."
_VALIDATED = "Reads all rows, under a lock that lets services read and write."
_PROVEN = "NOT NULL needs no look at the rows now: the validated check has proven it. The check has done its work then."


def keyed_tables(found: Iterable[Statement], before: Facts, new_tables: frozenset[str]) -> frozenset[str]:
    """The tables in use that get a key: it exists only behind its index, and what it replaces stands until then."""
    tables = set()
    for statement in found:
        table, clauses = altered_table(statement)
        if len(clauses) == 1 and table not in new_tables and before.takes_rows(table) and _key_of(clauses[0]):
            tables.add(table)
    return frozenset(tables)


def split_constraint(
    statement: Statement, before: Facts, new_tables: frozenset[str], keyed: frozenset[str]
) -> SplitStatement | None:
    """Treat ADD CONSTRAINT and DROP CONSTRAINT on a table that was there before. `keyed` are those that get a key."""
    table, clauses = altered_table(statement)
    if len(clauses) != 1 or table in new_tables or not _is_in_use(table, before):
        return None
    clause = clauses[0]
    if before.is_partitioned(table):
        return _check(table, clause)
    if clause.take("DROP", "CONSTRAINT"):
        return _split_drop(table, clause.name(), before, keyed)
    if kind := _key_of(clause):
        return _key(table, clause.name(), kind, clause.rest_text, before)
    if not clause.take("ADD", "CONSTRAINT"):
        return None
    name, definition = clause.name(), clause.rest_text
    if not clause.take_any("FOREIGN KEY", "CHECK") or statement.words[-2:] == ("NOT", "VALID"):
        return None
    split = _validated_later(table, name, definition)
    if _referenced(definition) in keyed:
        return SplitStatement(split.name, finishing=split.transactional, last=split.finishing)
    return split


def _is_in_use(table: str, before: Facts) -> bool:
    return before.takes_rows(table) or before.is_partitioned(table)


def _check(table: str, clause: Phrase) -> SplitStatement | None:
    """A check on a partitioned table; its other constraints are for `partitions`."""
    if not clause.take("ADD", "CONSTRAINT"):
        return None
    name, definition = clause.name(), clause.rest_text
    if not clause.take("CHECK") or clause.statement.words[-2:] == ("NOT", "VALID"):
        return None
    return _validated_later(table, name, definition)


def _validated_later(table: str, name: str, definition: str) -> SplitStatement:
    added = spelled(_added(table, name, f"{definition} NOT VALID"))
    validated = f"ALTER TABLE {quoted(table)} VALIDATE CONSTRAINT {quoted(name)}"
    first = NewStatement(added, _NOT_VALID, undo=(_dropped(table, name),))
    then = NewStatement(validated, _VALIDATED, undo=(_dropped(table, name), added))
    return SplitStatement(
        f"{table} {name}", transactional=(first,), finishing=(then,)
    )  # it is there at once: nothing has to wait for it


def _key_of(clause: Phrase) -> str:
    """UNIQUE or PRIMARY KEY, where the clause adds such a constraint; the phrase then stands at the constraint's name."""
    ahead = Phrase(clause.statement, clause.at)
    if not ahead.take("ADD", "CONSTRAINT") or not ahead.name():
        return ""
    kind = ahead.take_any("UNIQUE", "PRIMARY KEY")
    if kind:
        clause.take("ADD", "CONSTRAINT")
    return kind


def _split_drop(table: str, name: str, before: Facts, keyed: frozenset[str]) -> SplitStatement | None:
    """A key stays until the other one can take its place, and so does what refers to it."""
    definition = before.constraints.get((table, name), "")
    is_key = definition.startswith(("UNIQUE", "PRIMARY KEY")) and table in keyed
    if not is_key and _referenced(definition) not in keyed:
        return None
    undo = spelled(_added(table, name, definition))
    return SplitStatement(f"{table} {name} dropped", finishing=(NewStatement(_dropped(table, name), undo=(undo,)),))


def _referenced(definition: str) -> str:
    """The table that a foreign key's definition refers to; empty for anything else."""
    if not definition.startswith("FOREIGN KEY"):
        return ""
    return Phrase(statements(definition[definition.index("REFERENCES ") + len("REFERENCES ") :])[0]).name()


def split_not_null(statement: Statement, before: Facts, new_tables: frozenset[str]) -> SplitStatement | None:
    """Treat SET NOT NULL on a column that was there before."""
    table, clauses = altered_table(statement)
    if len(clauses) != 1 or table in new_tables or not _is_in_use(table, before):
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
    return SplitStatement(
        not_null_name(table, column),
        transactional=(NewStatement(check, _NOT_VALID, undo=(_dropped(table, name),)),),
        finishing=(
            NewStatement(f"ALTER TABLE {quoted(table)} VALIDATE CONSTRAINT {quoted(name)}", _VALIDATED, undo=(check,)),
            NewStatement(f"{alter} SET NOT NULL", _PROVEN, undo=(f"{alter} DROP NOT NULL",)),
            NewStatement(_dropped(table, name), undo=()),
        ),
    )


def not_null_name(table: str, column: str) -> str:
    """What others wait for when a column becomes NOT NULL in a later file."""
    return f"{table} {column} NOT NULL"


def _key(table: str, name: str, kind: str, definition: str, before: Facts) -> SplitStatement:
    """A key is an index underneath: build that first, then make it the constraint.

    Where there is one of this name, the new index has another until it takes the constraint's place, which renames it.
    """
    columns = definition.removeprefix(kind).strip()
    nulls = ""
    if columns.startswith("NULLS NOT DISTINCT"):
        columns, nulls = columns.removeprefix("NULLS NOT DISTINCT").strip(), " NULLS NOT DISTINCT"
    closing = _closing(columns)
    columns, rest = columns[: closing + 1], columns[closing + 1 :].strip()
    if rest.startswith("INCLUDE"):
        closing = _closing(rest)
        columns, rest = f"{columns} {rest[: closing + 1]}", rest[closing + 1 :].strip()
    schema, dot, _ = table.rpartition(".")
    index_name = new_name(name) if f"{schema}{dot}{name}" in before.indexes else name
    index = spelled(f"CREATE UNIQUE INDEX CONCURRENTLY {quoted(index_name)} ON {quoted(table)} {columns}{nulls}")
    attached = (
        f"ALTER TABLE {quoted(table)} ADD CONSTRAINT {quoted(name)} {kind} USING INDEX {quoted(index_name)} {rest}"
    )
    # Taking the constraint away takes its index along: the rollback of the file before expects to find one. It comes last,
    # or a foreign key that comes back would stand on it.
    undo = index.replace("CONCURRENTLY ", "", 1)
    dropped = f"DROP INDEX CONCURRENTLY {quoted(f'{schema}{dot}{index_name}')}"
    return SplitStatement(
        name,
        concurrent=(
            NewStatement(
                index,
                "The index that the constraint will stand on, built while services go on writing.",
                undo=(dropped,),
            ),
        ),
        finishing=(
            NewStatement(
                attached.rstrip(),
                "The index is there: nothing is read.",
                undo=(_dropped(table, name),),
                undo_last=(undo,),
            ),
        ),
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
