"""require-concurrent-partition-detach: a partition taken off while nobody can use the whole table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.effect import NOT_TRANSACTIONAL, TO_THE_END, holds
from pipeline.lint.phrase import altered_table, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def require_concurrent_partition_detach(source: Source) -> Iterable[Finding]:
    """ALTER TABLE … DETACH PARTITION without CONCURRENTLY, on a table in use."""
    for step in source.running:
        table, clauses = altered_table(step.statement)
        for clause in clauses:
            if not clause.take("DETACH", "PARTITION") or not step.before.in_use(table):
                continue
            partition = clause.name()
            if clause.take_any("CONCURRENTLY", "FINALIZE"):
                continue
            yield source.at(
                step,
                "require-concurrent-partition-detach",
                f"it {holds('ACCESS EXCLUSIVE', table, TO_THE_END)}, through any of its partitions",
                f"Write it {NOT_TRANSACTIONAL}: ALTER TABLE {quoted(table)} DETACH PARTITION {quoted(partition)} "
                "CONCURRENTLY; (PostgreSQL refuses that where the table has a default partition: then ignore this rule, "
                "and deploy at a quiet time).",
            )
