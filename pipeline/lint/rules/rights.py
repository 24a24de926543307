"""Who may do what: roles, grants and row security."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pipeline.lint.source import created_table
from pipeline.migrations.phrase import Phrase, altered_table, contains, quoted
from services import RUNTIME_ROLES, rights_on_a_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source
    from pipeline.migrations.sql_text import Statement


# excessive-grants: rights that let a service do what only a migration should.

# What a service may hold, by the kind of object. Anything else is found.
_FINE = {
    "table": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "sequence": {"USAGE", "SELECT"},
    "schema": {"USAGE"},
    "database": {"CONNECT"},
    "function": {"EXECUTE"},
    "procedure": {"EXECUTE"},
    "routine": {"EXECUTE"},
    "type": {"USAGE"},
    "domain": {"USAGE"},
    "language": {"USAGE"},
    "foreign": {"USAGE"},
}
# What PUBLIC has by itself (documentation: "Privileges"); more is for roles that have a name.
_PUBLIC = {"schema": {"USAGE"}, "type": {"USAGE"}, "domain": {"USAGE"}, "language": {"USAGE"}, "function": {"EXECUTE"},
           "procedure": {"EXECUTE"}, "routine": {"EXECUTE"}}  # fmt: skip
_WHAT = {
    "TRUNCATE": "empty the table, past every trigger and rule",
    "REFERENCES": "keep rows of the table from being deleted, by a foreign key of its own",
    "TRIGGER": "have code run at every write, as whoever writes",
    "MAINTAIN": "lock the table as VACUUM and REINDEX do",
    "CREATE": "make objects, which the owner's own queries may then call",
    "TEMPORARY": "make tables that the pooler loses",
    "TEMP": "make tables that the pooler loses",
    "ALL": "do everything that its owner may do with the rows, TRUNCATE and triggers included",
}
_HELP = (
    "Name what the service needs, table by table: GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE … TO server; USAGE on a "
    "schema or a sequence, EXECUTE on a function."
)


def excessive_grants(source: Source) -> Iterable[Finding]:
    """GRANT to a runtime role, or to PUBLIC, of more than it takes to read and write rows; default privileges for them."""
    for step in source.steps if not source.is_rollback else ():
        phrase = Phrase(step.statement)
        is_default = phrase.take("ALTER", "DEFAULT", "PRIVILEGES")
        if is_default and not phrase.skip_to("GRANT"):
            continue
        if not is_default and not phrase.take("GRANT"):
            continue
        why = _why_excessive(phrase, is_default=is_default)
        if why:
            yield source.at(step, "excessive-grants", why, _HELP)


def _why_excessive(phrase: Phrase, *, is_default: bool) -> str:
    start = phrase.at
    is_right = phrase.skip_to("ON")
    rights = _rights(Phrase(phrase.statement, start), phrase.at - 1) if is_right else set()
    grantees = _grantees(phrase)
    if not grantees:
        return ""
    who = " and ".join(sorted(grantees))
    if not is_right:
        return f"{who} would be able to do everything that the roles granted here may do, and to give it on"
    if contains(phrase.statement.words, "WITH", "GRANT", "OPTION"):
        return f"WITH GRANT OPTION: {who} would be able to give the right to anybody"
    if is_default:
        return f"default privileges give {who} every object that is ever made, whatever is in it"
    return _about_object(phrase, rights, grantees, who)


def _about_object(phrase: Phrase, rights: set[str], grantees: set[str], who: str) -> str:
    is_all = phrase.take("ALL")
    kind = phrase.take_any("TABLES", "TABLE", "SEQUENCES", "SEQUENCE", "SCHEMA", "DATABASE", "FUNCTIONS", "FUNCTION",
                           "PROCEDURES", "PROCEDURE", "ROUTINES", "ROUTINE", "TYPE", "DOMAIN", "LANGUAGE", "FOREIGN",
                           "PARAMETER", "TABLESPACE", "LARGE")  # fmt: skip
    kind = kind.lower().removesuffix("s") or "table"
    for right in sorted(rights - _FINE.get(kind, set())):
        return f"{who} would be able to {_WHAT.get(right, f'do {right} on a {kind}')}"
    if "public" in grantees and rights - _PUBLIC.get(kind, set()):
        return "every role of the server would have it, those that are made later included"
    if is_all and kind == "table":
        return f"ALL TABLES gives {who} also those tables that are kept from it, and those whose rows are never changed"
    return ""


def _rights(phrase: Phrase, end: int) -> set[str]:
    """The rights in a list such as `SELECT (a, b), UPDATE`, without the columns."""
    found, depth = set(), 0
    for token in phrase.statement.tokens[phrase.at : end]:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.kind == "word" and token.upper != "PRIVILEGES":
            found.add(token.upper)
    return found


def _grantees(phrase: Phrase) -> set[str]:
    """Those of the roles behind TO that this is about."""
    at = phrase.at
    found: set[str] = set()
    while phrase.skip_to("TO"):
        names = {token.identifier for token in phrase.rest if token.kind in {"word", "quoted"}}
        found = names & {*RUNTIME_ROLES, "public"}
    phrase.at = at
    return found


# missing-grants: a table that no service may read.


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
            f"Add: {_grants(name)} (or what each needs). "
            "If no service is to see it, ignore this rule with that reason.",
        )


def _grants(table: str) -> str:
    return " ".join(
        f"GRANT {rights} ON TABLE {quoted(table)} TO {', '.join(roles)};"
        for rights, roles in rights_on_a_table(RUNTIME_ROLES).items()
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


# revoke-from-service: a right that the running release may be using.


def revoke_from_service(source: Source) -> Iterable[Finding]:
    """REVOKE from a runtime role, of anything but a right on what this deploy has made."""
    for step in source.running:
        phrase = Phrase(step.statement)
        phrase.take("ALTER", "DEFAULT", "PRIVILEGES")
        if not phrase.take("REVOKE"):
            continue
        on = phrase.skip_to("ON")
        phrase.take("TABLE")
        names = phrase.names() if on else []
        if not phrase.skip_to("FROM"):
            continue
        found = {token.identifier for token in phrase.rest if token.kind in {"word", "quoted"}} & set(RUNTIME_ROLES)
        if not found or (names and not any(step.before.in_use(name) for name in names)):
            continue
        who = " and ".join(sorted(found))
        yield source.at(
            step,
            "revoke-from-service",
            f"the release of {who} that runs at the deploy gets `permission denied` from the commit on, if it uses the right",
            "First deploy a release that does not need it; then ignore this rule with that release as the reason: "
            "-- lint: ignore revoke-from-service (not used since …)",
        )


# rls-without-policy: a table that is empty for everybody but its owner.


def rls_without_policy(source: Source) -> Iterable[Finding]:
    """ENABLE ROW LEVEL SECURITY on a table that has no policy, where this file makes none either."""
    policies = {_policy(Phrase(step.statement)) for step in source.running}
    for step in source.running:
        table, clauses = altered_table(step.statement)
        enables = any(clause.take("ENABLE", "ROW", "LEVEL", "SECURITY") for clause in clauses)
        if enables and not step.before.relation(table).has_policies and table not in policies:
            yield source.at(
                step,
                "rls-without-policy",
                f"without a policy {quoted(table)} has no rows for the services: every SELECT finds none, every INSERT fails, "
                "from the commit on",
                f"In the same file: CREATE POLICY … ON {quoted(table)} TO {', '.join(RUNTIME_ROLES)} USING (…) WITH CHECK (…);",
            )


def _policy(phrase: Phrase) -> str:
    if not phrase.take("CREATE", "POLICY"):
        return ""
    phrase.name()
    return phrase.name() if phrase.take("ON") else ""


# role-attributes: roles that Neon refuses, and passwords that would lie in a file.

_REFUSED = ("SUPERUSER", "REPLICATION", "BYPASSRLS")
_RESERVED = {"neon_superuser", "cloud_admin", "zenith_admin", "public", "none"}
_PAGE = "Roles of services are plain: NOLOGIN here; a deploy gives them LOGIN and their password."


def role_attributes(source: Source) -> Iterable[Finding]:
    """CREATE or ALTER ROLE with an attribute or a name that Neon refuses, or with a password."""
    for step in source.steps:
        statement = step.statement
        what = _why_attribute(statement)
        if what:
            yield source.at(step, "role-attributes", what, _PAGE)


def _why_attribute(statement: Statement) -> str:
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


RULES = (excessive_grants, missing_grants, revoke_from_service, rls_without_policy, role_attributes)
