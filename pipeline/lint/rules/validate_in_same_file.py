"""validate-in-same-file: what NOT VALID has won is given away again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.effect import holds, while_reading
from pipeline.lint.locks import LOCKS, SHARE_ROW_EXCLUSIVE, locked_by
from pipeline.lint.phrase import altered_table, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source

_STRONG = LOCKS[LOCKS.index(SHARE_ROW_EXCLUSIVE) :]


def validate_in_same_file(source: Source) -> Iterable[Finding]:
    """VALIDATE CONSTRAINT on a table in use that the same file has locked against writers before."""
    held: dict[str, str] = {}
    for step in source.running if source.is_transactional else ():
        table, clauses = altered_table(step.statement)
        for clause in clauses:
            if not clause.take("VALIDATE", "CONSTRAINT") or table not in held or not step.before.in_use(table):
                continue
            name = clause.name()
            yield source.at(
                step,
                "validate-in-same-file",
                f"the file {holds(held[table], table, while_reading(table))}: the lock of what stands above is kept, though "
                "VALIDATE itself would let services go on",
                f"Put it into the next file, first: ALTER TABLE {quoted(table)} VALIDATE CONSTRAINT {quoted(name)};",
            )
        for name, lock in locked_by(step.statement, step.before).items():
            if lock in _STRONG and LOCKS.index(lock) > LOCKS.index(held.get(name, LOCKS[0])):
                held[name] = lock
