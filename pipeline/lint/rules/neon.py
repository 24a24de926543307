"""What Neon does not have, or does not let us do."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from pipeline.migrations.phrase import Phrase, contains
from servers.extensions import neon_extensions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source
    from pipeline.migrations.sql_text import Statement, Token


# alter-database: the database is Pulumi's.


def alter_database(source: Source) -> Iterable[Finding]:
    """CREATE, DROP, RENAME and OWNER TO of a database, which the infrastructure program owns. Settings are allowed."""
    for step in source.steps:
        statement = step.statement
        words = statement.words
        if words[1:2] != ("DATABASE",):
            continue
        changes_it = words[0] == "ALTER" and ("RENAME" in words or "OWNER" in words)
        if words[0] in {"CREATE", "DROP"} or changes_it:
            yield source.at(
                step,
                "alter-database",
                "the database itself belongs to the infrastructure program, whose state would no longer be true",
                "Change it in infra/ and run `pulumi up`.",
            )


# alter-system: the server's configuration belongs to Neon.


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


# extension-not-on-neon: CREATE EXTENSION outside of Neon's list.


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
                "servers/neon_extensions.json with today's date.",
            )


# libc-collation: a locale that Neon's image does not have.

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


# logical-replication: it cannot be turned off again, and keeps the compute awake.


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


# superuser-only: statements that the owner may not run on Neon, whatever happens on a laptop.

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


# tablespace: Neon has one place for everything.


def tablespace(source: Source) -> Iterable[Finding]:
    """CREATE TABLESPACE, and a TABLESPACE clause on a table, an index or the database."""
    for step in source.steps:
        statement = step.statement
        words = statement.words
        if words[0] not in {"CREATE", "ALTER", "DROP", "REINDEX"} or "TABLESPACE" not in words:
            continue
        if contains(words, "TABLESPACE", "PG_DEFAULT"):
            continue
        yield source.at(
            step,
            "tablespace",
            "Neon has no tablespaces: storage is its own",
            "Leave the TABLESPACE clause out.",
        )


# unlogged-table: its rows are gone when the compute goes to sleep.


def unlogged_table(source: Source) -> Iterable[Finding]:
    """CREATE UNLOGGED TABLE or SEQUENCE, and ALTER TABLE … SET UNLOGGED."""
    for step in source.steps:
        statement = step.statement
        words = statement.words
        if words[:2] == ("CREATE", "UNLOGGED") or (words[:1] == ("ALTER",) and contains(words, "SET", "UNLOGGED")):
            yield source.at(
                step,
                "unlogged-table",
                "an unlogged table is emptied whenever the compute restarts, and Neon stops it after minutes of rest",
                "Make it an ordinary table; for a cache, say so in its comment and ignore this rule with that reason.",
            )


RULES = (
    alter_database,
    alter_system,
    extension_not_on_neon,
    libc_collation,
    logical_replication,
    superuser_only,
    tablespace,
    unlogged_table,
)
