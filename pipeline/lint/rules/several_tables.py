"""several-tables: tables locked one by one, and all of them kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.locks import ACCESS_EXCLUSIVE, locked_by
from pipeline.lint.phrase import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source

_MANY = 3


def several_tables(source: Source) -> Iterable[Finding]:
    """Find a file that takes ACCESS EXCLUSIVE on three tables in use, or more."""
    held: list[str] = []
    for step in source.running if source.is_transactional else ():
        for table, lock in locked_by(step.statement, step.before).items():
            if lock != ACCESS_EXCLUSIVE or table in held or not step.before.in_use(table):
                continue
            held.append(table)
            if len(held) == _MANY:
                others = ", ".join(map(quoted, held[:-1]))
                yield source.at(
                    step,
                    "several-tables",
                    f"it takes ACCESS EXCLUSIVE on {quoted(table)}, and {others} are locked already: nobody can read or write "
                    "any of them while it waits for the next and until the whole file is committed; a service that uses two "
                    "of them in the other order is a deadlock",
                    f"One file for each table: this one ends before ALTER TABLE {quoted(table)} …;",
                )
