"""Sources made from text, for tests of rules."""

from __future__ import annotations

from pipeline.lint.model import Schema
from pipeline.lint.source import Source, schema_behind


def migration(text: str, *later: str, rollback: bool = True) -> Source:
    """A migration with this text, and others that are deployed with it and run behind it."""
    folder: list[Source] = []
    schema = Schema()
    for number, each in enumerate((text, *later)):
        path = "migrations/0005_change.sql" if number == 0 else f"migrations/{9000 + number}_later.sql"
        back = path.replace(".sql", ".rollback.sql") if rollback else None
        folder.append(Source(path, each, back, before=schema, folder=folder, deploy="one"))
        schema = schema_behind(folder[-1]).in_the_next_file()
    return folder[0]


def behind(before: str, text: str) -> Source:
    """A migration with this text, in a deploy behind the one that ran `before`."""
    schema = schema_behind(Source("migrations/0001_before.sql", before)).deployed()
    return Source("migrations/0005_change.sql", text, "migrations/0005_change.rollback.sql", before=schema)
