"""libc-collation: a locale that Neon's image does not have."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source
    from pipeline.migrations.sql_text import Token


_PORTABLE = {"c", "c.utf-8", "c.utf8", "posix"}
_LOCALE = re.compile(r"[a-z]{2,3}_[A-Z]{2}(?:\.[\w-]+)?(?:@\w+)?\Z")  # en_US, de_DE.utf8, ca_ES@valencia


def libc_collation(source: Source) -> Iterable[Finding]:
    """CREATE COLLATION of the libc provider, and COLLATE with the name of a libc locale such as "en_US"."""
    for step in source.steps:
        statement = step.statement
        words = statement.words
        creates = words[:2] == ("CREATE", "COLLATION") and not {"ICU", "BUILTIN", "FROM"} & set(words)
        if (creates and not _portable_strings(statement.tokens)) or any(_libc_names(statement.tokens)):
            yield source.at(
                step,
                "libc-collation",
                "Neon's servers have no libc locales but C and C.UTF-8",
                'Use an ICU collation, as COLLATE "en-x-icu", or one made with (provider = icu, …).',
            )


def _portable_strings(tokens: tuple[Token, ...]) -> bool:
    strings = [token.text.strip("'").lower() for token in tokens if token.kind == "string"]
    return bool(strings) and all(text in _PORTABLE for text in strings if text != "libc")


def _libc_names(tokens: tuple[Token, ...]) -> Iterable[str]:
    for before, token in pairwise(tokens):
        if before.upper == "COLLATE" and token.kind == "quoted" and _LOCALE.match(token.identifier):
            yield token.identifier
