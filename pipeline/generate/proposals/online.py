"""Indexes and constraints on tables in use, made and dropped while services go on reading and writing.

An index is built and dropped CONCURRENTLY, in a file of its own. A constraint is added without a look at the rows that are
there, and validated in a later file; a key stands on an index that was built before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.generate.new_migrations import NewStatement, SplitStatement
from pipeline.generate.style import new_name, quoted, spelled
from pipeline.migrations.phrase import Phrase, altered_table
from pipeline.migrations.sql_text import statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.migrations.sql_text import Statement
    from pipeline.schema.facts import Facts

NOT_VALID = "New rows are checked from here on. Those that are there follow in a later file, without stopping writers."
VALIDATED = "Reads all rows, under a lock that lets services read and write."
_PROVEN = "NOT NULL needs no look at the rows now: the validated check has proven it. The check has done its work then."
_BUILT = (
    "Built while services go on writing, which cannot be done inside a transaction. After an interruption the next run "
    "clears up what was left and builds it again."
)
_DROPPED = "Dropped while services go on writing, which cannot be done inside a transaction."


@dataclass(frozen=True, slots=True)
class CreatedIndex:
    """What a CREATE INDEX makes: the index, named with its table's schema, and on what; `only` for ON ONLY."""

    name: str
    table: str
    unique: bool
    only: bool


def created_index(statement: Statement) -> CreatedIndex | None:
    """Read a CREATE INDEX; None for anything else."""
    phrase = Phrase(statement)
    if not phrase.take("CREATE"):
        return None
    unique = phrase.take("UNIQUE")
    if not phrase.take("INDEX"):
        return None
    phrase.take("IF", "NOT", "EXISTS")
    name = phrase.name()
    if not phrase.take("ON"):
        return None
    only = phrase.take("ONLY")
    table = phrase.name()
    return CreatedIndex(_beside(table, name), table, unique=unique, only=only)


def added_constraint(table: str, name: str, definition: str) -> str:
    """Write ADD CONSTRAINT."""
    return f"ALTER TABLE {quoted(table)} ADD CONSTRAINT {quoted(name)} {definition}"


def dropped_constraint(table: str, name: str) -> str:
    """Write DROP CONSTRAINT."""
    return f"ALTER TABLE {quoted(table)} DROP CONSTRAINT {quoted(name)}"


def validated_constraint(table: str, name: str) -> str:
    """Write VALIDATE CONSTRAINT."""
    return f"ALTER TABLE {quoted(table)} VALIDATE CONSTRAINT {quoted(name)}"


def split_index(
    statement: Statement, before: Facts, new_tables: frozenset[str], everything: Sequence[Statement]
) -> SplitStatement | None:
    """Treat CREATE INDEX and DROP INDEX on a table that was there before; None for anything else."""
    if name := _dropped_index(statement):
        if _is_replaced(name, before, everything):
            return SplitStatement(name)
        return _dropped_concurrently(name, before, everything)
    index = created_index(statement)
    if index is None or index.table in new_tables or not before.takes_rows(index.table):
        return None
    if _is_replaced(index.name, before, everything):
        return _replaced(statement.text, index, before)
    undo = f"DROP INDEX CONCURRENTLY {quoted(index.name)}"
    built = NewStatement(concurrently(statement.text, unique=index.unique), _BUILT, undo=(undo,))
    return SplitStatement(index.name, concurrent=(built,))


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
    made = (created_index(statement) for statement in everything)
    return any(_dropped_index(statement) == name for statement in everything) and any(
        index is not None and index.name == name for index in made
    )


def _dropped_index(statement: Statement) -> str:
    phrase = Phrase(statement)
    return phrase.name() if phrase.take("DROP", "INDEX") else ""


def _beside(table: str, name: str) -> str:
    """The name of an index or a constraint with its table's schema, where that is not public."""
    schema, dot, _ = table.rpartition(".")
    return f"{schema}{dot}{name}"


def _replaced(definition: str, index: CreatedIndex, before: Facts) -> SplitStatement:
    """The new index first, then the old one goes: what it enforces and speeds up is never without it."""
    name, bare = index.name, index.name.rpartition(".")[2]
    beside = new_name(bare)
    full = _beside(index.table, beside)
    sql = concurrently(definition, unique=index.unique).replace(quoted(bare), quoted(beside), 1)
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


def _dropped_concurrently(name: str, before: Facts, everything: Sequence[Statement]) -> SplitStatement | None:
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
    added = spelled(added_constraint(table, name, f"{definition} NOT VALID"))
    validated = validated_constraint(table, name)
    first = NewStatement(added, NOT_VALID, undo=(dropped_constraint(table, name),))
    then = NewStatement(validated, VALIDATED, undo=(dropped_constraint(table, name), added))
    # it is there at once: nothing has to wait for its bare name
    return SplitStatement(f"{table} {name}", transactional=(first,), finishing=(then,))


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
    undo = spelled(added_constraint(table, name, definition))
    return SplitStatement(
        f"{table} {name} dropped", finishing=(NewStatement(dropped_constraint(table, name), undo=(undo,)),)
    )


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
    return SplitStatement(
        not_null_name(table, column),
        transactional=(not_null_check(table, column),),
        finishing=not_null_steps(table, column),
    )


def not_null_check(table: str, column: str) -> NewStatement:
    """A check that new rows have a value."""
    name = _not_null_constraint(table, column)
    return NewStatement(_not_null_added(table, column), NOT_VALID, undo=(dropped_constraint(table, name),))


def not_null_steps(table: str, column: str) -> tuple[NewStatement, ...]:
    """From that check to NOT NULL, with a look at the rows that stops nobody."""
    name, added = _not_null_constraint(table, column), _not_null_added(table, column)
    alter = f"ALTER TABLE {quoted(table)} ALTER COLUMN {quoted(column)}"
    return (
        NewStatement(validated_constraint(table, name), VALIDATED, undo=(added,)),
        NewStatement(f"{alter} SET NOT NULL", _PROVEN, undo=(f"{alter} DROP NOT NULL",)),
        NewStatement(dropped_constraint(table, name), undo=()),
    )


def _not_null_constraint(table: str, column: str) -> str:
    return f"{table.rpartition('.')[2]}_{column}_not_null"[:63]


def _not_null_added(table: str, column: str) -> str:
    return added_constraint(
        table, _not_null_constraint(table, column), f"CHECK ({quoted(column)} IS NOT NULL) NOT VALID"
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
    index_name = new_name(name) if _beside(table, name) in before.indexes else name
    index = spelled(f"CREATE UNIQUE INDEX CONCURRENTLY {quoted(index_name)} ON {quoted(table)} {columns}{nulls}")
    attached = (
        f"ALTER TABLE {quoted(table)} ADD CONSTRAINT {quoted(name)} {kind} USING INDEX {quoted(index_name)} {rest}"
    )
    # Taking the constraint away takes its index along: the rollback of the file before expects to find one. It comes last,
    # or a foreign key that comes back would stand on it.
    undo = index.replace("CONCURRENTLY ", "", 1)
    dropped = f"DROP INDEX CONCURRENTLY {quoted(_beside(table, index_name))}"
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
                undo=(dropped_constraint(table, name),),
                undo_last=(undo,),
            ),
        ),
    )


def _closing(text: str) -> int:
    depth = 0
    for at, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0 and character == ")":
            return at
    return len(text) - 1
