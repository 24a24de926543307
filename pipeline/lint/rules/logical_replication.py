"""logical-replication: it cannot be turned off again, and keeps the compute awake."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def logical_replication(source: Source) -> Iterable[Finding]:
    """CREATE or ALTER of a publication or a subscription, and replication slots."""
    for step in source.steps:
        statement = step.statement
        words = statement.words
        slot = any(word.startswith("PG_CREATE_") and word.endswith("REPLICATION_SLOT") for word in words)
        if slot or (words[0] in {"CREATE", "ALTER"} and words[1:2] in {("PUBLICATION",), ("SUBSCRIPTION",)}):
            yield source.at(
                step,
                "logical-replication",
                "logical replication needs a setting of the Neon project that cannot be undone, and a subscriber keeps "
                "the compute awake (and paid for)",
                "Decide it with whoever pays for the project, then ignore this rule with a link to that decision.",
            )
