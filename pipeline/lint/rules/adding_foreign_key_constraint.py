"""adding-foreign-key-constraint: a foreign key that reads the table while nobody can write to two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.definitions import named, read_added
from pipeline.lint.effect import holds, while_reading
from pipeline.lint.phrase import altered_table, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.definitions import Constraint
    from pipeline.lint.finding import Finding
    from pipeline.lint.model import Schema
    from pipeline.lint.phrase import Phrase
    from pipeline.lint.source import Source


def adding_foreign_key_constraint(source: Source) -> Iterable[Finding]:
    """ADD a foreign key to a table in use without NOT VALID.

    Not with a new column that has no default: it is null in every row, and PostgreSQL reads none. Not on a partitioned
    table whose partitions have the key already, validated: PostgreSQL takes theirs.
    """
    for step in source.running:
        table, clauses = altered_table(step.statement)
        if not step.before.in_use(table):
            continue
        for clause in clauses:
            key = _added(clause)
            if key is None or not key.valid or _is_on_every_partition(key, table, step.before):
                continue
            name = named(key, table).name
            yield source.at(
                step,
                "adding-foreign-key-constraint",
                f"it {holds('SHARE ROW EXCLUSIVE', table, while_reading(table))}; the same on {quoted(key.references)}",
                _help(key, table, name, partitioned=step.before.is_partitioned(table)),
            )


def _help(key: Constraint, table: str, name: str, *, partitioned: bool) -> str:
    columns = ", ".join(map(quoted, key.columns))
    definition = key.definition if key.definition.upper().startswith("FOREIGN") else (
        f"FOREIGN KEY ({columns}) {key.definition}"
    )  # fmt: skip
    if partitioned:
        return (
            "PostgreSQL 16 has no NOT VALID for the key of a partitioned table. Give it to each partition first: ALTER TABLE "
            f"partition ADD CONSTRAINT {quoted(name)} {definition} NOT VALID; in the next file VALIDATE it there; then this "
            "statement takes over the partitions' keys and reads nothing."
        )
    return (
        f"Add it without reading: ALTER TABLE {quoted(table)} ADD CONSTRAINT {quoted(name)} {definition} NOT VALID; and in "
        f"the next file: ALTER TABLE {quoted(table)} VALIDATE CONSTRAINT {quoted(name)}; which lets services read and write."
    )


def _added(clause: Phrase) -> Constraint | None:
    """The foreign key that has rows to look at."""
    column, constraints = read_added(clause)
    if column is not None and not (column.default or column.numbers_rows or column.is_stored):
        return None
    return next((each for each in constraints if each.kind == "foreign key"), None)


def _is_on_every_partition(key: Constraint, table: str, before: Schema) -> bool:
    partitions = [before.relation(name) for name in before.partitions(table)]
    return before.is_partitioned(table) and all(
        any(
            (each.kind, each.columns, each.references, each.valid) == (key.kind, key.columns, key.references, True)
            for each in partition.constraints.values()
        )
        for partition in partitions
    )
