"""copy-file: the server has no files of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.phrase import Phrase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


_FILE_FUNCTIONS = {"LO_IMPORT", "LO_EXPORT", "PG_READ_FILE", "PG_READ_BINARY_FILE", "PG_LS_DIR"}


def copy_file(source: Source) -> Iterable[Finding]:
    """COPY from or to a file or a program of the server, and the functions that read its files."""
    for step in source.steps:
        statement = step.statement
        if _copies_a_file(Phrase(statement)) or _FILE_FUNCTIONS.intersection(statement.words):
            yield source.at(
                step,
                "copy-file",
                "it reads or writes a file of the server, which needs a right that nobody has on Neon",
                "Write the rows as INSERT … VALUES; load large data from a client, outside of the migrations.",
            )


def _copies_a_file(phrase: Phrase) -> bool:
    if not phrase.take("COPY"):
        return False
    depth = 0
    for at, token in enumerate(phrase.rest):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.upper in {"FROM", "TO"}:
            target = phrase.rest[at + 1 : at + 2]
            return bool(target) and (target[0].kind == "string" or target[0].upper == "PROGRAM")
    return False
