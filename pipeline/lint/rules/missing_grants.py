"""missing-grants: a table that no service may read."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pipeline.lint.phrase import Phrase
from pipeline.lint.source import created_table
from services import RUNTIME_ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source
    from pipeline.migrations.sql_text import Statement


def missing_grants(source: Source) -> Iterable[Finding]:
    """CREATE TABLE with no GRANT on it to a runtime role, in this file or in one that runs later.

    There are no default privileges here: a new table belongs to nobody until its migration says whose it is.
    """
    created = [(name, step) for step in source.running if (name := created_table(step.statement))]
    settled = _settled(source) if created else frozenset()
    for name, step in created:
        is_temporary = bool({"TEMP", "TEMPORARY"} & set(step.words[1:4]))
        if name in settled or is_temporary or "PARTITION" in step.words[3:8]:
            continue
        yield source.at(
            step,
            "missing-grants",
            f'table "{name}" is granted to none of the runtime roles ({", ".join(RUNTIME_ROLES)})',
            f'Add: GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE "{name}" TO {", ".join(RUNTIME_ROLES)}; (or what each needs). '
            "If no service is to see it, ignore this rule with that reason.",
        )


def _settled(source: Source) -> frozenset[str]:
    """List the tables that are granted, renamed or dropped, here or later."""
    names: set[str] = set()
    for file in (source, *source.later):
        for step in file.steps:
            names.update(_settled_by(step.statement))
    return frozenset(names)


@lru_cache(maxsize=100_000)  # every file asks for all those behind it: each statement is taken apart once
def _settled_by(statement: Statement) -> tuple[str, ...]:
    return (*_granted(Phrase(statement)), *_gone(Phrase(statement)))


def _granted(phrase: Phrase) -> list[str]:
    if not phrase.take("GRANT"):
        return []
    while phrase.rest and not phrase.take("ON"):
        phrase.at += 1
    phrase.take("TABLE")
    names = phrase.names()
    grantees = {token.identifier for token in phrase.rest if token.kind in {"word", "quoted"}}
    return names if grantees & {*RUNTIME_ROLES, "public"} else []


def _gone(phrase: Phrase) -> list[str]:
    if phrase.take("DROP", "TABLE"):
        phrase.take("IF", "EXISTS")
        return phrase.names()
    if phrase.take("ALTER", "TABLE"):
        name = phrase.name()
        return [name] if phrase.take("RENAME", "TO") else []
    return []
