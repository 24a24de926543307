"""role-attributes: roles that Neon refuses, and passwords that would lie in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.phrase import Phrase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source
    from pipeline.migrations.sql_text import Statement


_REFUSED = ("SUPERUSER", "REPLICATION", "BYPASSRLS")
_RESERVED = {"neon_superuser", "cloud_admin", "zenith_admin", "public", "none"}
_PAGE = "Roles of services are plain: NOLOGIN here; a deploy gives them LOGIN and their password."


def role_attributes(source: Source) -> Iterable[Finding]:
    """CREATE or ALTER ROLE with an attribute or a name that Neon refuses, or with a password."""
    for step in source.steps:
        statement = step.statement
        what = _why(statement)
        if what:
            yield source.at(step, "role-attributes", what, _PAGE)


def _why(statement: Statement) -> str:
    phrase = Phrase(statement)
    if phrase.take_any("GRANT", "REVOKE"):
        return _about_membership(phrase)
    if not phrase.take_any("CREATE ROLE", "CREATE USER", "CREATE GROUP", "ALTER ROLE", "ALTER USER", "DROP ROLE"):
        return ""
    if phrase.take("MAPPING"):
        return ""
    phrase.take("IF", "EXISTS")
    return _about_name(phrase.name()) or _about_attributes(statement.words)


def _about_name(name: str) -> str:
    if name in _RESERVED or name.startswith("pg_"):
        return f"the name {name} is reserved on Neon"
    return "the name is longer than PostgreSQL's 63 bytes" if len(name.encode()) > 63 else ""


def _about_attributes(words: tuple[str, ...]) -> str:
    for attribute in _REFUSED:
        if attribute in words:
            return f"{attribute} can be given by a superuser only, and on Neon nobody is one"
    if "PASSWORD" in words and "NULL" not in words:
        return "a password in a migration stays in the repository's history for ever"
    return ""


def _about_membership(phrase: Phrase) -> str:
    names = phrase.names()
    if phrase.take_any("TO", "FROM") and "neon_superuser" in names:
        return "membership of neon_superuser is given by Neon's console and API only"
    return ""
