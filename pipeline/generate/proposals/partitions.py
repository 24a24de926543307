"""Indexes and constraints of partitioned tables: each partition gets its own first, and the whole takes them over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.generate.differ import Step
from pipeline.generate.new_migrations import NewStatement, SplitStatement
from pipeline.generate.proposals.online import (
    NOT_VALID,
    VALIDATED,
    added_constraint,
    concurrently,
    created_index,
    dropped_constraint,
    validated_constraint,
)
from pipeline.generate.style import quoted, spelled
from pipeline.migrations.phrase import altered_table
from pipeline.migrations.sql_text import statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.migrations.sql_text import Statement
    from pipeline.schema.facts import Facts

_ONLY = "The index of the whole is not used yet: it comes into force when each partition has its own."
_PART = "The index of one partition, built while services go on writing."
_FOREIGN_KEY_RULES = ("adding-foreign-key-constraint", "constraint-missing-not-valid")
_KEY_RULES = ("disallowed-unique-constraint", "constraint-missing-not-valid", "adding-serial-primary-key-field")
_ATTACHED = "With the last one, the index of the whole comes into force. Nothing is read."


def with_partitions(steps: Sequence[Step], before: Facts, after: Facts) -> list[Step]:
    """Write the indexes of the partitions, too, where a new table's index is created ON ONLY the whole."""
    result: list[Step] = []
    created = [created_index(statements(step.sql)[0]) for step in steps]
    made = {index.name for index in created if index is not None}
    for step, index in zip(steps, created, strict=True):
        result.append(step)
        if index is not None and index.only and index.table not in before.tables:
            below = _below(index.name, after)
            result += [
                replace(step, sql=after.indexes[child].definition, verbatim=False)
                for child in below
                if child not in made
            ]
            result += [Step(_attach(after.index_parents[child], child)) for child in reversed(below)]
    return result


def split_partitioned_index(statement: Statement, before: Facts, after: Facts) -> SplitStatement | None:
    """Treat CREATE INDEX on a partitioned table that was there before; None for anything else."""
    index = created_index(statement)
    if index is None or not before.is_partitioned(index.table) or index.name not in after.indexes:
        return None
    name = index.name
    below = _below(name, after)
    if not below:
        return None
    whole = spelled(after.indexes[name].definition)  # ON ONLY, as the server writes it
    kinds = {child: after.tables[after.indexes[child].table].kind for child in below}
    if any(after.indexes[child].table not in before.tables for child in below):
        return None
    definitions = {child: spelled(after.indexes[child].definition) for child in below}
    answer = ("require-concurrent-index-creation", "ON ONLY reads nothing")
    transactional = [NewStatement(whole, _ONLY, undo=(f"DROP INDEX {quoted(name)}",), answers=(answer,))]
    transactional += [
        NewStatement(definitions[child], undo=(f"DROP INDEX {quoted(child)}",), answers=(answer,))
        for child in below
        if kinds[child] == "p"
    ]
    concurrent = [
        NewStatement(
            concurrently(definitions[child], unique=definitions[child].startswith("CREATE UNIQUE")),
            _PART,
            undo=(f"DROP INDEX CONCURRENTLY {quoted(child)}",),
        )
        for child in below
        if kinds[child] == "r"
    ]
    # There is no DETACH for an index: the whole goes with its parts, and all are made again as they were.
    undo = (f"DROP INDEX {quoted(name)}", whole, *definitions.values())
    finishing = [
        NewStatement(
            _attach(after.index_parents[child], child), "" if number else _ATTACHED, undo=() if number else undo
        )
        for number, child in enumerate(reversed(below))
    ]
    return SplitStatement(
        name, transactional=tuple(transactional), concurrent=tuple(concurrent), finishing=tuple(finishing)
    )


def split_partitioned_constraint(statement: Statement, before: Facts, after: Facts) -> SplitStatement | None:
    """Treat ADD CONSTRAINT of a key or a foreign key on a partitioned table that was there before; None for anything else."""
    table, clauses = altered_table(statement)
    if len(clauses) != 1 or not before.is_partitioned(table) or not clauses[0].take("ADD", "CONSTRAINT"):
        return None
    clause = clauses[0]
    name, definition = clause.name(), clause.rest_text
    kind = clause.take_any("UNIQUE", "PRIMARY KEY", "FOREIGN KEY")
    if kind == "FOREIGN KEY":
        return _foreign_key(table, name, definition, before)
    return _key(table, name, kind, definition, before, after) if kind else None


def _foreign_key(table: str, name: str, definition: str, before: Facts) -> SplitStatement | None:
    """NOT VALID is refused on the whole before PostgreSQL 18, but not on its parts; what each has, the whole takes over."""
    parts = before.parts_of(table)
    if not parts or definition.endswith("NOT VALID"):
        return None
    added = {part: spelled(added_constraint(part, name, f"{definition} NOT VALID")) for part in parts}
    whole = spelled(added_constraint(table, name, definition))
    answers = tuple((rule, "each partition has it, validated") for rule in _FOREIGN_KEY_RULES)
    return SplitStatement(
        f"{table} {name}",
        transactional=tuple(
            NewStatement(sql, NOT_VALID, undo=(dropped_constraint(part, name),)) for part, sql in added.items()
        ),
        finishing=(
            *(NewStatement(validated_constraint(part, name), VALIDATED, undo=()) for part in parts),
            NewStatement(
                whole,
                "Each partition has it: nothing is read.",
                undo=(dropped_constraint(table, name), *added.values()),
                answers=answers,
            ),
        ),
    )


def _key(table: str, name: str, kind: str, definition: str, before: Facts, after: Facts) -> SplitStatement | None:
    """The key of the whole exists without being enforced until each part has its own."""
    schema, dot, _ = table.rpartition(".")
    below = _below(f"{schema}{dot}{name}", after)
    if not below or any(after.indexes[child].table not in before.tables for child in below):
        return None
    only = _only(table, name, definition)
    answers = tuple((rule, "ON ONLY reads nothing") for rule in _KEY_RULES)
    transactional, concurrent, attaching, undo = [], [], [], [dropped_constraint(table, name), only]
    transactional.append(NewStatement(only, _ONLY, undo=(dropped_constraint(table, name),), answers=answers))
    for child in below:
        index = after.indexes[child]
        if before.is_partitioned(index.table):
            sql = _only(index.table, index.constraint, definition)
            transactional.append(
                NewStatement(sql, undo=(dropped_constraint(index.table, index.constraint),), answers=answers)
            )
            undo.append(sql)
        else:
            built = concurrently(index.definition, unique=True)
            concurrent.append(NewStatement(built, _PART, undo=(f"DROP INDEX CONCURRENTLY {quoted(child)}",)))
            own = f"{added_constraint(index.table, index.constraint, kind)} USING INDEX {quoted(index.constraint)}"
            attaching.append(NewStatement(own, "The index is there: nothing is read.", undo=()))
            undo.append(built.replace("CONCURRENTLY ", "", 1))
    attaching += [NewStatement(_attach(after.index_parents[child], child), undo=()) for child in reversed(below)]
    attaching[-1] = replace(attaching[-1], undo=tuple(undo))
    return SplitStatement(
        name, transactional=tuple(transactional), concurrent=tuple(concurrent), finishing=tuple(attaching)
    )


def _only(table: str, name: str, definition: str) -> str:
    return spelled(added_constraint(table, name, definition)).replace("ALTER TABLE ", "ALTER TABLE ONLY ", 1)


def _below(name: str, after: Facts) -> list[str]:
    """The indexes below one, the nearer ones first."""
    found: list[str] = []
    level = [name]
    while level:
        level = sorted(child for child, parent in after.index_parents.items() if parent in level)
        found += level
    return found


def _attach(parent: str, child: str) -> str:
    return f"ALTER INDEX {quoted(parent)} ATTACH PARTITION {quoted(child)}"
