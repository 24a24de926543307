"""require-concurrent-reindex: an index built again while nobody can use the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.effect import NOT_TRANSACTIONAL
from pipeline.lint.phrase import Phrase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def require_concurrent_reindex(source: Source) -> Iterable[Finding]:
    """REINDEX without CONCURRENTLY."""
    for step in source.running:
        phrase = Phrase(step.statement)
        if not phrase.take("REINDEX") or "CONCURRENTLY" in step.words[:8]:
            continue
        phrase.group()
        kind = phrase.take_any("INDEX", "TABLE", "SCHEMA", "DATABASE", "SYSTEM")
        name = phrase.name()
        if kind == "TABLE" and not step.before.in_use(name):
            continue
        yield source.at(
            step,
            "require-concurrent-reindex",
            "it takes SHARE on the table and ACCESS EXCLUSIVE on its index: nobody can write, and readers wait too as soon "
            "as they plan a query, until the index is built again and the file is committed",
            f"Write it {NOT_TRANSACTIONAL}: REINDEX {kind} CONCURRENTLY {phrase.statement.tokens[phrase.at - 1].text};",
        )
