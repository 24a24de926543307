"""Bringing the runtime roles in line with the stack: LOGIN, the stack's passwords, their limits, and nothing else.

The history keeps a salted fingerprint of each password, keyed by branch, and the server tells the rest: both are read with
the first query, so an up-to-date deploy asks nothing more and writes nothing. A branch carries its parent's rows, whose
branch id is another, so its roles are set anew. A role may have changed its own password: only a login tells.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbclient.quoting import identifier, literal
from pipeline.errors import DatabaseFailed
from pipeline.history.tables import SCHEMA
from pipeline.postgres.session import ServerError
from pipeline.roles import parse_facts, read_facts_sql
from pipeline.roles.deviations import CONNECTION_LIMIT, SETTINGS, Deviation, deviations, set_sql
from pipeline.roles.login import try_passwords

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbclient.url import DatabaseURL
    from pipeline.deploy.observer import Observer
    from pipeline.deploy.target import Target
    from pipeline.history import History
    from pipeline.postgres.session import Session
    from pipeline.roles import Fact


@dataclass(frozen=True)
class Activation:
    """What was done: roles that were given their password, and what of the roles was put right."""

    passwords: tuple[str, ...] = ()
    corrected: tuple[Deviation, ...] = ()


def activate(
    session: Session, url: DatabaseURL, target: Target, history: History, facts: Sequence[Fact], observer: Observer
) -> Activation:
    """Give the roles what the stack and `SETTINGS` say, and take from them what no service should have.

    `facts` are what the server says of the roles now. Nothing is written where all is right.

    Raises:
        DatabaseFailed: the server refused. The message has the error's code and never the statement. What else could be
            put right is.
    """
    new = due_passwords(target, history)
    for role in new:
        _set_password(session, target.branch_id, role, target.passwords[role])
    found = list(deviations(facts, activated=target.passwords))
    if new:  # what that has just settled is not worth a word
        found = [each for each in found if each.role not in new or not _is_set_with_the_password(each)]
    for each in found:
        if not each.grave:
            observer.note(f"{each}: a migration may have made it so; `./inv diff` tells")
    grave = [each for each in found if each.grave]
    failures = [(each, why) for each in grave if (why := _put_right(session, each))]
    changed = _try_passwords(session, url, target, {*target.passwords} - {*new}, observer)
    if failures:
        raise _not_put_right(failures)
    return Activation(tuple(sorted({*new, *changed})), tuple(grave))


def due_passwords(target: Target, history: History) -> list[str]:
    """The roles whose password of the stack is not the one that the last deploy gave them here."""
    stored = {(each.role, each.branch_id): each for each in history.passwords}
    due = []
    for role, password in sorted(target.passwords.items()):
        known = stored.get((role, target.branch_id))
        if known is None or _fingerprint(known.salt, password) != known.fingerprint:
            due.append(role)
    return due


def read_again(session: Session, target: Target) -> tuple[Fact, ...]:
    """The facts of the target's roles, where migrations have just made or changed them."""
    return parse_facts(session.run(read_facts_sql(target.passwords))[0].rows)


def refused_passwords(url: DatabaseURL, target: Target, observer: Observer) -> tuple[Deviation, ...]:
    """The roles of the target that do not take the stack's password, each as a deviation."""
    if not target.passwords:
        return ()
    return tuple(
        Deviation(role, "password", "the stack's", "another") for role in _refused(url, target.passwords, observer)
    )


def _try_passwords(
    session: Session, url: DatabaseURL, target: Target, roles: set[str], observer: Observer
) -> list[str]:
    """Set once more the passwords that the fingerprints call right and that the server refuses."""
    refused = _refused(url, {role: target.passwords[role] for role in roles}, observer) if roles else []
    for role in refused:
        observer.note(f"{role} had another password than the stack's")
        _set_password(session, target.branch_id, role, target.passwords[role])
    return refused


def _refused(url: DatabaseURL, passwords: Mapping[str, str], observer: Observer) -> list[str]:
    tried = try_passwords(url.direct(), passwords)
    for role, why in tried.unknown.items():
        observer.note(f"whether {role} takes the stack's password could not be tried: {why}")
    return tried.refused


def _is_set_with_the_password(deviation: Deviation) -> bool:
    return deviation.what in {"LOGIN", "CONNECTION LIMIT", *(f"setting {name}" for name in SETTINGS)} and (
        deviation.found is None or deviation.what in {"LOGIN", "CONNECTION LIMIT"}
    )


def _put_right(session: Session, deviation: Deviation) -> str:
    """Run the cure; why it did not work, or nothing."""
    if not deviation.cure:
        return "only a person can decide to whom it should belong"
    try:
        session.run(deviation.cure)
    except ServerError as error:
        return f"{error.fields.get('message', '')} (SQLSTATE {error.sqlstate})"
    return ""


def _not_put_right(failures: Sequence[tuple[Deviation, str]]) -> DatabaseFailed:
    lines = "".join(f"\n  {deviation}: {why}" for deviation, why in failures)
    cures = "; ".join(deviation.cure for deviation, _ in failures if deviation.cure)
    return DatabaseFailed(
        f"every migration is applied, and a runtime role may do more than it should:{lines}",
        remedy=f"As the role that made it so, or one that may: {cures or 'ALTER … OWNER TO the owner of the database'}; "
        "then run it again.",
    )


def _set_password(session: Session, branch_id: str, role: str, password: str) -> None:
    salt = secrets.token_hex(16)
    settings = "".join(f"{set_sql(role, name, value)};" for name, value in SETTINGS.items())
    record = (
        f"INSERT INTO {SCHEMA}.role_password (role_name, branch_id, salt, fingerprint) VALUES "
        f"({literal(role)}, {literal(branch_id)}, {literal(salt)}, {literal(_fingerprint(salt, password))}) "
        "ON CONFLICT (role_name, branch_id) DO UPDATE SET salt = excluded.salt, fingerprint = excluded.fingerprint, "
        "set_at = pg_catalog.clock_timestamp();"
    )
    try:
        session.run(f"BEGIN;{settings}{record}")
        # In plain text, since Neon refuses a hash; a query of its own, whose text no error of ours repeats.
        session.run(
            f"ALTER ROLE {identifier(role)} LOGIN CONNECTION LIMIT {CONNECTION_LIMIT} PASSWORD {literal(password)}"
        )
        session.run("COMMIT")
    except ServerError as error:
        session.run("ROLLBACK")
        raise DatabaseFailed(
            f"the role {role} could not be given its password (SQLSTATE {error.sqlstate})",
            remedy="The migrations are applied. Is the role there, and does the deploying role own it? Then run it again.",
        ) from None


def _fingerprint(salt: str, password: str) -> str:
    """SHA-256 is enough: the passwords are random and long, and the salt keeps equal ones apart."""
    return hashlib.sha256(f"{salt}:{password}".encode()).hexdigest()
