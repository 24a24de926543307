"""superuser-only: statements that the owner may not run on Neon, whatever happens on a laptop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.phrase import Phrase, contains

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source
    from pipeline.migrations.sql_text import Statement


# What starts so needs a superuser by PostgreSQL's documentation of each command (version 16).
_STARTS = (
    ("CREATE", "ACCESS", "METHOD"),
    ("CREATE", "CAST"),
    ("CREATE", "FOREIGN", "DATA"),
    ("CREATE", "OPERATOR", "CLASS"),
    ("CREATE", "OPERATOR", "FAMILY"),
    ("CREATE", "TRANSFORM"),
    ("CREATE", "TEXT", "SEARCH", "PARSER"),
    ("CREATE", "TEXT", "SEARCH", "TEMPLATE"),
    ("CREATE", "EVENT", "TRIGGER"),
    ("ALTER", "EVENT", "TRIGGER"),
    ("CHECKPOINT",),
    ("LOAD",),
    ("SECURITY", "LABEL"),
)
_UNTRUSTED = {"c", "internal", "plpython3u", "plpythonu", "plperlu", "pltclu"}
# Settings of context "superuser" (pg_settings) that a migration is tempted to change.
_SETTINGS = {
    "session_replication_role",
    "log_statement",
    "log_min_duration_statement",
    "log_min_messages",
    "track_functions",
    "track_io_timing",
    "temp_file_limit",
    "lo_compat_privileges",
    "zero_damaged_pages",
    "session_preload_libraries",
    "max_stack_depth",
}


def superuser_only(source: Source) -> Iterable[Finding]:
    """Commands, languages and settings that need a superuser, which nobody is on Neon."""
    for step in source.steps:
        statement = step.statement
        what = _why(statement)
        if what:
            yield source.at(
                step,
                "superuser-only",
                f"{what} needs a superuser, and on Neon nobody is one",
                "Look for an extension on Neon's list that does it, or do it in the services.",
            )


def _why(statement: Statement) -> str:
    words = statement.words
    for start in _STARTS:
        if words[: len(start)] == start and not (start[-1] == "CAST" and contains(words, "WITH", "FUNCTION")):
            return " ".join(start)
    if words[0] == "CREATE" and (language := _untrusted_language(statement)):
        return f"LANGUAGE {language}"
    if words[:2] in {("ALTER", "FUNCTION"), ("CREATE", "FUNCTION")} and _is_leakproof(words):
        return "LEAKPROOF"
    if words[:2] == ("ALTER", "TABLE") and (
        contains(words, "DISABLE", "TRIGGER", "ALL") or contains(words, "ENABLE", "TRIGGER", "ALL")
    ):
        return "switching off the triggers of foreign keys (TRIGGER ALL; USER is allowed)"
    return _superuser_setting(statement)


def _untrusted_language(statement: Statement) -> str:
    phrase = Phrase(statement)
    while phrase.rest:
        if phrase.take("LANGUAGE"):
            language = phrase.rest[0].identifier.strip("'") if phrase.rest else ""
            return language if language in _UNTRUSTED else ""
        phrase.at += 1
    return ""


def _is_leakproof(words: tuple[str, ...]) -> bool:
    return "LEAKPROOF" in words and not contains(words, "NOT", "LEAKPROOF")


def _superuser_setting(statement: Statement) -> str:
    phrase = Phrase(statement)
    if statement.words[0] == "ALTER" and statement.words[1:2] in {("ROLE",), ("USER",), ("DATABASE",)}:
        while phrase.rest and not phrase.take("SET"):
            phrase.at += 1
    elif not phrase.take("SET"):
        return ""
    phrase.take_any("LOCAL", "SESSION")
    name = phrase.name()
    return f"the setting {name}" if name in _SETTINGS else ""
