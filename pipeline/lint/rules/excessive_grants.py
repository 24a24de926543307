"""excessive-grants: rights that let a service do what only a migration should."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.phrase import Phrase, contains
from services import RUNTIME_ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source

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
        why = _why(phrase, is_default=is_default)
        if why:
            yield source.at(step, "excessive-grants", why, _HELP)


def _why(phrase: Phrase, *, is_default: bool) -> str:
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
