"""index-if-not-exists: a success that may stand for an index which is not valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.phrase import Phrase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def index_if_not_exists(source: Source) -> Iterable[Finding]:
    """CREATE INDEX CONCURRENTLY IF NOT EXISTS."""
    for step in source.running:
        phrase = Phrase(step.statement)
        if not phrase.take_any("CREATE INDEX CONCURRENTLY", "CREATE UNIQUE INDEX CONCURRENTLY"):
            continue
        head = " ".join(step.words[: phrase.at])
        if phrase.take("IF", "NOT", "EXISTS"):
            yield source.at(
                step,
                "index-if-not-exists",
                "a build that broke off leaves an index that is not valid: it slows down writes and serves no query. With IF "
                "NOT EXISTS the next run takes it for done and says so",
                f"Leave IF NOT EXISTS out: {head} {phrase.rest_text}; After a break the runner itself drops what was left, and "
                "builds it again.",
            )
