"""constraint-missing-not-valid: a check that reads the table while nobody can use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.definitions import named, read_added
from pipeline.lint.effect import holds, while_reading
from pipeline.lint.phrase import altered_table, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source

_KINDS = {"check", "not null"}


def constraint_missing_not_valid(source: Source) -> Iterable[Finding]:
    """ADD a CHECK (or, in PostgreSQL 18, a NOT NULL) to a table in use without NOT VALID; also inside of ADD COLUMN."""
    for step in source.running:
        table, clauses = altered_table(step.statement)
        if not step.before.in_use(table):
            continue
        for clause in clauses:
            found = next((each for each in read_added(clause)[1] if each.kind in _KINDS and each.valid), None)
            if found is None:
                continue
            name = named(found, table).name
            yield source.at(
                step,
                "constraint-missing-not-valid",
                f"it {holds('ACCESS EXCLUSIVE', table, while_reading(table))}",
                f"Add it without reading: ALTER TABLE {quoted(table)} ADD CONSTRAINT {quoted(name)} {found.definition} NOT "
                f"VALID; and in the next file: ALTER TABLE {quoted(table)} VALIDATE CONSTRAINT {quoted(name)}; which lets "
                "services read and write.",
            )
