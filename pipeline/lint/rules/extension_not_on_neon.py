"""extension-not-on-neon: CREATE EXTENSION outside of Neon's list."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from pipeline.lint.phrase import Phrase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


@cache
def neon_extensions() -> frozenset[str]:
    """Give the names on Neon's list for PostgreSQL 16; the file says from where and when."""
    listed = json.loads(files("pipeline.lint").joinpath("data/neon_extensions.json").read_text())
    return frozenset(listed["extensions"])


def extension_not_on_neon(source: Source) -> Iterable[Finding]:
    """CREATE EXTENSION of one that Neon does not offer."""
    for step in source.steps:
        statement = step.statement
        phrase = Phrase(statement)
        if not phrase.take("CREATE", "EXTENSION"):
            continue
        phrase.take("IF", "NOT", "EXISTS")
        name = phrase.name()
        if name and name not in neon_extensions():
            yield source.at(
                step,
                "extension-not-on-neon",
                f"the extension {name} is not on Neon's list",
                "Ask pg_available_extensions on a branch. If it is there by now, add it to "
                "pipeline/lint/data/neon_extensions.json with today's date.",
            )
