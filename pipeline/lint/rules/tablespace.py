"""tablespace: Neon has one place for everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.phrase import contains

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def tablespace(source: Source) -> Iterable[Finding]:
    """CREATE TABLESPACE, and a TABLESPACE clause on a table, an index or the database."""
    for step in source.steps:
        statement = step.statement
        words = statement.words
        if words[0] not in {"CREATE", "ALTER", "DROP", "REINDEX"} or "TABLESPACE" not in words:
            continue
        if contains(words, "TABLESPACE", "PG_DEFAULT"):
            continue
        yield source.at(
            step,
            "tablespace",
            "Neon has no tablespaces: storage is its own",
            "Leave the TABLESPACE clause out.",
        )
