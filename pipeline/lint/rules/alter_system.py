"""alter-system: the server's configuration belongs to Neon."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def alter_system(source: Source) -> Iterable[Finding]:
    """ALTER SYSTEM is refused on Neon, and so are settings that only a superuser may change."""
    for step in source.steps:
        statement = step.statement
        if statement.words[:2] == ("ALTER", "SYSTEM"):
            yield source.at(
                step,
                "alter-system",
                "ALTER SYSTEM is refused on Neon: the server's configuration is not ours",
                "Set it for a role, ALTER ROLE … SET, if a user may change it; else see what Neon's console offers.",
            )
