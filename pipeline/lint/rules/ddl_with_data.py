"""ddl-with-data: a table locked for as long as its rows are changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.effect import holds
from pipeline.lint.locks import LOCKS, SHARE, locked_by
from pipeline.lint.phrase import Phrase, quoted
from pipeline.lint.row_changes import row_changes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source, Step

_STRONG = LOCKS[LOCKS.index(SHARE) :]


def ddl_with_data(source: Source) -> Iterable[Finding]:
    """Find DDL on a table in use, and a change of its rows behind it, in one file, which is one transaction.

    A change that is bounded is let be; so is one before the DDL, which does not hold the table meanwhile.
    """
    held: dict[str, tuple[str, Step]] = {}
    for step in source.running if source.is_transactional else ():
        for change in row_changes(Phrase(step.statement), step.before):
            if change.table in held and not change.is_bounded and step.before.in_use(change.table):
                lock, by = held[change.table]
                table = change.table
                yield source.at(
                    step,
                    "ddl-with-data",
                    f"line {by.place.line} {holds(lock, table, 'for as long as this changes rows, and until the commit')}",
                    f"Two files: the DDL alone, which takes a moment; then the rows, in steps: UPDATE {quoted(table)} SET … "
                    f"WHERE id IN (SELECT id FROM {quoted(table)} WHERE … LIMIT 5000); (docs/expand-contract.md).",
                )
        for table, lock in locked_by(step.statement, step.before).items():
            if lock in _STRONG and step.before.in_use(table):
                held.setdefault(table, (lock, step))
