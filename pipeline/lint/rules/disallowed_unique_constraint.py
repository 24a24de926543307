"""disallowed-unique-constraint: an index built while nobody can use the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.definitions import named, read_added
from pipeline.lint.effect import NOT_TRANSACTIONAL, holds, while_reading
from pipeline.lint.phrase import altered_table, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.definitions import Constraint
    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source

_KINDS = {"unique", "exclude"}


def disallowed_unique_constraint(source: Source) -> Iterable[Finding]:
    """ADD a UNIQUE or EXCLUDE constraint that builds its index, to a table in use; also inside of ADD COLUMN.

    ALTER TABLE ONLY on a partitioned table builds nothing, and is the right first step there.
    """
    for step in source.running:
        table, clauses = altered_table(step.statement)
        if not step.before.in_use(table):
            continue
        partitioned = step.before.is_partitioned(table)
        if partitioned and "ONLY" in step.words[2:5]:
            continue
        for clause in clauses:
            found = next((each for each in read_added(clause)[1] if each.kind in _KINDS and not each.using_index), None)
            if found is not None:
                yield source.at(
                    step,
                    "disallowed-unique-constraint",
                    f"it {holds('ACCESS EXCLUSIVE', table, while_reading(table))}, and the index is built",
                    _help(found, table, partitioned=partitioned),
                )


def _help(found: Constraint, table: str, *, partitioned: bool) -> str:
    if found.kind == "exclude":
        return (
            "PostgreSQL has no other way for EXCLUDE. If the table is small, ignore this rule with its size as reason."
        )
    name, columns = quoted(named(found, table).name), ", ".join(map(quoted, found.columns))
    if partitioned:
        return (
            f"First: ALTER TABLE ONLY {quoted(table)} ADD CONSTRAINT {name} UNIQUE ({columns}); (nothing is built). Then for "
            f"each partition, {NOT_TRANSACTIONAL}, CREATE UNIQUE INDEX CONCURRENTLY i ON partition ({columns}); then for "
            f"each: ALTER TABLE partition ADD UNIQUE USING INDEX i; ALTER INDEX {name} ATTACH PARTITION i;"
        )
    return (
        f"Build the index first, {NOT_TRANSACTIONAL}: CREATE UNIQUE INDEX CONCURRENTLY {name} ON {quoted(table)} ({columns}); "
        f"then ALTER TABLE {quoted(table)} ADD CONSTRAINT {name} UNIQUE USING INDEX {name};"
    )
