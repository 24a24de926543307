"""adding-required-field: a column that no row of the table can have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.definitions import read_column, read_constraint
from pipeline.lint.phrase import altered_table, contains, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def adding_required_field(source: Source) -> Iterable[Finding]:
    """ADD COLUMN … NOT NULL without a default, to a table in use."""
    for step in source.running:
        table, clauses = altered_table(step.statement)
        if not step.before.in_use(table):
            continue
        for clause in clauses:
            if not clause.take("ADD") or read_constraint(clause) is not None:
                continue
            clause.take("COLUMN")
            clause.take("IF", "NOT", "EXISTS")
            words = clause.clause_words()
            column, _ = read_column(clause)
            is_filled = column.default or column.numbers_rows or column.is_stored
            if is_filled or not (column.not_null and contains(words, "NOT", "NULL")):
                continue
            yield source.at(
                step,
                "adding-required-field",
                f"it fails as soon as {quoted(table)} has a row, and until it has one, services that do not know the column "
                "cannot insert any",
                f"Give it a default: … NOT NULL DEFAULT …; or ALTER TABLE {quoted(table)} ADD COLUMN {quoted(column.name)} "
                f"{column.type}; then fill it, and make it NOT NULL by a validated check (rule set-not-null).",
            )
