"""session-state: what a pooler, and the end of the file, forgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.phrase import Phrase, contains

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source
    from pipeline.migrations.sql_text import Statement


_HELP = (
    "For this file alone: SET LOCAL. For a service: ALTER ROLE … SET, which every connection gets, pooled or not. "
    "For locks: pg_advisory_xact_lock."
)
_SESSION_LOCKS = {
    "PG_ADVISORY_LOCK",
    "PG_ADVISORY_LOCK_SHARED",
    "PG_TRY_ADVISORY_LOCK",
    "PG_TRY_ADVISORY_LOCK_SHARED",
    "PG_ADVISORY_UNLOCK",
    "PG_ADVISORY_UNLOCK_ALL",
}
_STARTS = {"LISTEN", "UNLISTEN", "PREPARE", "DEALLOCATE", "DISCARD", "RESET"}


def session_state(source: Source) -> Iterable[Finding]:
    """SET without LOCAL, temporary tables that outlive a transaction, LISTEN, PREPARE, WITH HOLD, session locks."""
    for step in source.steps:
        statement = step.statement
        what = _why(statement)
        if what:
            yield source.at(
                step,
                "session-state",
                f"{what} lives in the session: Neon's pooler gives the next transaction another one, and the runner "
                "resets it behind each file",
                _HELP,
            )


def _why(statement: Statement) -> str:
    words = statement.words
    if words[0] in _STARTS and words[:2] != ("PREPARE", "TRANSACTION"):
        return words[0]
    if locks := _SESSION_LOCKS.intersection(words):
        return min(locks).lower()
    if words[0] == "DECLARE" and contains(words, "WITH", "HOLD"):
        return "a cursor WITH HOLD"
    if words[0] == "CREATE" and {"TEMP", "TEMPORARY"} & set(words[1:4]) and not contains(words, "ON", "COMMIT", "DROP"):
        return "a temporary table"
    return _session_setting(Phrase(statement))


def _session_setting(phrase: Phrase) -> str:
    if not phrase.take("SET") or phrase.take_any("LOCAL", "CONSTRAINTS", "TRANSACTION"):
        return ""
    phrase.take("SESSION")
    if phrase.take("CHARACTERISTICS"):
        return "SET SESSION CHARACTERISTICS"
    name = phrase.name()
    return f"the setting {name}" if name else ""
