"""lock-table: a lock taken by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.effect import TO_THE_END, holds
from pipeline.lint.locks import LOCKS, SHARE, lock_of
from pipeline.lint.phrase import Phrase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def lock_table(source: Source) -> Iterable[Finding]:
    """LOCK TABLE of a table in use, in a mode that makes writers or readers wait."""
    for step in source.running:
        phrase = Phrase(step.statement)
        if not phrase.take("LOCK"):
            continue
        phrase.take("TABLE")
        phrase.take("ONLY")
        names = [name for name in phrase.names() if step.before.in_use(name)]
        lock = lock_of(step.statement) or ""
        if names and LOCKS.index(lock) >= LOCKS.index(SHARE):
            yield source.at(
                step,
                "lock-table",
                f"it {holds(lock, names[0], TO_THE_END)}",
                "Leave it out: each statement takes the lock that it needs, for no longer than it needs. To keep rows from "
                "changing under you: SELECT … FOR UPDATE of those rows.",
            )
