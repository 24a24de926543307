"""require-concurrent-index-creation: an index built while nobody can write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.effect import NOT_TRANSACTIONAL, holds, while_reading
from pipeline.lint.phrase import Phrase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def require_concurrent_index_creation(source: Source) -> Iterable[Finding]:
    """CREATE INDEX without CONCURRENTLY on a table or a materialized view in use.

    On a partitioned table PostgreSQL refuses CONCURRENTLY; ON ONLY it builds nothing, and is the right first step there.
    """
    for step in source.running:
        phrase = Phrase(step.statement)
        if not phrase.take_any("CREATE INDEX", "CREATE UNIQUE INDEX") or phrase.take("CONCURRENTLY"):
            continue
        start = phrase.at
        if not phrase.skip_to("ON") or phrase.take("ONLY"):
            continue
        table = phrase.name()
        if not step.before.in_use(table):
            continue
        head, rest = " ".join(step.words[:start]), Phrase(step.statement, start).rest_text
        help_ = f"Write it {NOT_TRANSACTIONAL}: {head} CONCURRENTLY {rest};"
        if step.before.is_partitioned(table):
            only = f"{head} {rest}".replace(" ON ", " ON ONLY ", 1)
            help_ = (
                f"PostgreSQL has no CONCURRENTLY for a partitioned table. First: {only}; (nothing is built). Then for each "
                f"partition, {NOT_TRANSACTIONAL}, CREATE INDEX CONCURRENTLY; and last, for each: ALTER INDEX … ATTACH "
                "PARTITION …;"
            )
        yield source.at(
            step,
            "require-concurrent-index-creation",
            f"it {holds('SHARE', table, while_reading(table))}",
            help_,
        )
