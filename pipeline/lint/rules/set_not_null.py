"""set-not-null: a scan of the table under the strongest lock, unless a validated check has done it before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.phrase import Phrase, altered_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def set_not_null(source: Source) -> Iterable[Finding]:
    """ALTER COLUMN … SET NOT NULL on a table that this file did not make, with no VALIDATE CONSTRAINT on it before.

    PostgreSQL skips the scan when a valid CHECK (column IS NOT NULL) is there (documentation of ALTER TABLE).
    """
    if source.is_rollback:
        return
    validated: set[str] = set()
    for statement in source.statements:
        table, clauses = altered_table(statement)
        for clause in clauses:
            if clause.take("VALIDATE", "CONSTRAINT"):
                validated.add(table)
            elif _sets_not_null(clause) and table not in source.new_tables | validated:
                yield source.at(
                    statement,
                    "set-not-null",
                    f'SET NOT NULL reads all of "{table}" while nobody else can read or write it',
                    "Add CHECK (column IS NOT NULL) NOT VALID in one file; VALIDATE CONSTRAINT, SET NOT NULL and "
                    "DROP CONSTRAINT in the next. `./inv migrate --name …` writes it so.",
                )


def _sets_not_null(clause: Phrase) -> bool:
    if not clause.take("ALTER"):
        return False
    clause.take("COLUMN")
    return bool(clause.name()) and clause.take("SET", "NOT", "NULL")
