"""unlogged-table: its rows are gone when the compute goes to sleep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.phrase import contains

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def unlogged_table(source: Source) -> Iterable[Finding]:
    """CREATE UNLOGGED TABLE or SEQUENCE, and ALTER TABLE … SET UNLOGGED."""
    for step in source.steps:
        statement = step.statement
        words = statement.words
        if words[:2] == ("CREATE", "UNLOGGED") or (words[:1] == ("ALTER",) and contains(words, "SET", "UNLOGGED")):
            yield source.at(
                step,
                "unlogged-table",
                "an unlogged table is emptied whenever the compute restarts, and Neon stops it after minutes of rest",
                "Make it an ordinary table; for a cache, say so in its comment and ignore this rule with that reason.",
            )
