"""What separates the runtime roles from what they are to be, and the statement that puts each thing right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbclient.quoting import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from pipeline.roles import Fact

# What a runtime role may take of the server. Neon's smallest compute gives 104 connections in all. The role's own
# settings come before those of the database, so none of these can be changed from there.
SETTINGS: Mapping[str, str] = {
    "timezone": "UTC",
    "search_path": "public",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "30s",
}
CONNECTION_LIMIT = 40

# What a role is before any deploy has given it a password: 0004 pins it to UTC, and no more.
_SETTINGS_OF_THE_MIGRATION = {"timezone": "UTC"}


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that is not as a runtime role is to be. `expected` or `found` is None where it is not to be there, or is not.

    `cure` is the statement that puts it right, for whoever may; empty where a person has to decide. `grave`: it takes a
    limit away, and no migration can have meant it. `role` is empty for a setting of the database.
    """

    role: str
    what: str
    expected: str | None
    found: str | None
    cure: str = ""
    grave: bool = True

    def __str__(self) -> str:
        """One line, as `ai_service: member of server (expected: no; found: granted by the owner)`."""
        return f"{self.role or 'the database'}: {self.what} (expected: {self.expected or 'none'}; found: {self.found or 'none'})"


def deviations(facts: Iterable[Fact], *, activated: Collection[str]) -> tuple[Deviation, ...]:
    """Compare what the server says with what the roles are to be. `activated` are those that a deploy gave a password."""
    by_role: dict[str, list[Fact]] = {}
    for fact in facts:
        by_role.setdefault(fact.role, []).append(fact)
    found: list[Deviation] = []
    for role, own in by_role.items():
        if role:
            found += _of_role(role, own, activated=role in activated)
        else:
            found += (_of_database(fact) for fact in own if SETTINGS.get(fact.name.lower()) != fact.value)
    return tuple(found)


def _of_role(role: str, facts: list[Fact], *, activated: bool) -> Iterator[Deviation]:
    quoted = identifier(role)
    for fact in facts:
        if fact.kind == "attribute":
            yield from _attribute(role, fact, activated=activated)
        elif fact.kind == "membership":
            cure = f"REVOKE {identifier(fact.name)} FROM {quoted} GRANTED BY {identifier(fact.value)}"
            yield Deviation(role, f"member of {fact.name}", None, f"granted by {fact.value}", cure)
        elif fact.kind == "setting here":
            cure = f"ALTER ROLE {quoted} IN DATABASE {identifier(fact.detail)} RESET {identifier(fact.name)}"
            yield Deviation(role, f"setting {fact.name} in this database", None, fact.value, cure)
        elif fact.kind == "owns":
            yield Deviation(role, f"owner of {fact.name} {fact.value}", None, "yes")
        elif fact.kind == "history":
            grantee = fact.detail or quoted
            cure = f"REVOKE ALL ON {fact.name} FROM {grantee}"
            if fact.name.startswith("TABLE"):
                cure = f"REVOKE ALL ON {fact.name.removeprefix('TABLE ')} FROM {grantee}"
            yield Deviation(role, f"rights on {fact.name}", None, _told(fact), cure)
        elif fact.kind == "right":
            yield Deviation(role, f"rights on {fact.name}", None, _told(fact), grave=False)
    yield from _settings(role, {fact.name: fact.value for fact in facts if fact.kind == "setting"}, activated=activated)


def _attribute(role: str, fact: Fact, *, activated: bool) -> Iterator[Deviation]:
    quoted = identifier(role)
    if fact.name == "LOGIN":
        if activated and fact.value == "no":
            yield Deviation(role, "LOGIN", "yes", "no", f"ALTER ROLE {quoted} LOGIN")
    elif fact.name == "CONNECTION LIMIT":
        # A role that no deploy has given a password yet has none, or that of a deploy to another database of its server.
        right = {str(CONNECTION_LIMIT)} if activated else {"-1", str(CONNECTION_LIMIT)}
        if fact.value not in right:
            limit = CONNECTION_LIMIT if activated else -1
            expected = str(limit) if activated else None
            shown = None if fact.value == "-1" else fact.value
            yield Deviation(role, fact.name, expected, shown, f"ALTER ROLE {quoted} CONNECTION LIMIT {limit}")
    elif fact.name == "VALID UNTIL":
        yield Deviation(role, fact.name, None, fact.value, f"ALTER ROLE {quoted} VALID UNTIL 'infinity'")
    else:
        yield Deviation(role, fact.name, None, fact.value, f"ALTER ROLE {quoted} NO{fact.name}")


def _settings(role: str, found: Mapping[str, str], *, activated: bool) -> Iterator[Deviation]:
    """The server keeps the spelling in which a setting was made: TimeZone and timezone are one."""
    quoted = identifier(role)
    expected = dict(SETTINGS if activated else _SETTINGS_OF_THE_MIGRATION)
    for name, value in found.items():
        right = expected.pop(name.lower(), None)
        if right is None and not activated and SETTINGS.get(name.lower()) == value:
            continue  # a deploy to another database of this server gave it
        if right is None:
            yield Deviation(role, f"setting {name}", None, value, f"ALTER ROLE {quoted} RESET {identifier(name)}")
        elif right != value:
            yield Deviation(role, f"setting {name}", right, value, set_sql(role, name.lower(), right))
    for name, right in expected.items():
        yield Deviation(role, f"setting {name}", right, None, set_sql(role, name, right))


def _of_database(fact: Fact) -> Deviation:
    """A migration may have made it (the roles' own settings come before it), so it is told and left."""
    where = "" if fact.kind == "database" else " of every database"
    return Deviation("", f"setting {fact.name}{where}", None, fact.value, grave=False)


def set_sql(role: str, name: str, value: str) -> str:
    """The statement that makes one setting of a role."""
    return f"ALTER ROLE {identifier(role)} SET {name} = {literal(value)}"


def _told(fact: Fact) -> str:
    return f"{fact.value}{f', as {fact.detail} has' if fact.detail else ''}"
