"""Sources made from text, for tests of rules."""

from __future__ import annotations

from pipeline.lint import Source


def migration(text: str, *later: str, rollback: bool = True) -> Source:
    """A migration with this text, and others that run behind it."""
    behind = tuple(Source(f"migrations/{9000 + number}_later.sql", other) for number, other in enumerate(later))
    return Source(
        "migrations/0005_change.sql",
        text,
        rollback_path="migrations/0005_change.rollback.sql" if rollback else None,
        later=behind,
    )
