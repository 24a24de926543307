"""require-concurrent-index-deletion: an index dropped while nobody can read its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.effect import NOT_TRANSACTIONAL, TO_THE_END, holds
from pipeline.lint.locks import ACCESS_EXCLUSIVE, locked_by
from pipeline.lint.phrase import Phrase, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source, Step


def require_concurrent_index_deletion(source: Source) -> Iterable[Finding]:
    """DROP INDEX without CONCURRENTLY on a table in use.

    Not where PostgreSQL refuses CONCURRENTLY, on a partitioned table; nor where the same file takes the same lock on the
    table anyway, as to drop a column of the index.
    """
    for step in source.running:
        phrase = Phrase(step.statement)
        if not phrase.take("DROP", "INDEX") or phrase.take("CONCURRENTLY"):
            continue
        phrase.take("IF", "EXISTS")
        for name in phrase.names():
            index = step.before.indexes.get(name)
            table = index.table if index else ""
            if table and (not step.before.in_use(table) or step.before.is_partitioned(table)):
                continue
            if table and _is_locked_anyway(source, step, table):
                continue
            yield source.at(
                step,
                "require-concurrent-index-deletion",
                f"it {holds('ACCESS EXCLUSIVE', table or 'its table', TO_THE_END)}, and who comes behind it waits too "
                "while it waits for running queries",
                f"Write it {NOT_TRANSACTIONAL}: DROP INDEX CONCURRENTLY {quoted(name)};",
            )


def _is_locked_anyway(source: Source, step: Step, table: str) -> bool:
    others = (other for other in source.running if other is not step and other.words[:2] != ("DROP", "INDEX"))
    return any(locked_by(other.statement, other.before).get(table) == ACCESS_EXCLUSIVE for other in others)
