"""Giving the runtime roles LOGIN and the stack's passwords, when they are new or changed, and not otherwise.

The history keeps a salted fingerprint of each password, keyed by branch: it is read with the first query, so an up-to-date
deploy asks nothing more. A branch carries its parent's rows, whose branch id is another, so its roles are set anew.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from pipeline.errors import DatabaseFailed
from pipeline.history.tables import SCHEMA
from pipeline.postgres.quoting import identifier, literal
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from pipeline.deploy.target import Target
    from pipeline.history import History
    from pipeline.postgres.session import Session

# What a runtime role may take of the server. Neon's smallest compute gives 104 connections in all.
SETTINGS = {
    "timezone": "UTC",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "30s",
}
CONNECTION_LIMIT = 40


def activate(session: Session, target: Target, history: History, *, has_roles: bool) -> tuple[str, ...]:
    """Bring the runtime roles in line with the target's passwords; the names of those that were changed.

    Raises:
        DatabaseFailed: the server refused. The message has the error's code and never the statement.
    """
    if not target.passwords or not has_roles:
        return ()
    stored = {(each.role, each.branch_id): each for each in history.passwords}
    changed = []
    for role, password in sorted(target.passwords.items()):
        known = stored.get((role, target.branch_id))
        if known is not None and _fingerprint(known.salt, password) == known.fingerprint:
            continue
        _set_password(session, target.branch_id, role, password)
        changed.append(role)
    return tuple(changed)


def _set_password(session: Session, branch_id: str, role: str, password: str) -> None:
    salt = secrets.token_hex(16)
    quoted = identifier(role)
    settings = "".join(f"ALTER ROLE {quoted} SET {name} = {literal(value)};" for name, value in SETTINGS.items())
    record = (
        f"INSERT INTO {SCHEMA}.role_password (role_name, branch_id, salt, fingerprint) VALUES "
        f"({literal(role)}, {literal(branch_id)}, {literal(salt)}, {literal(_fingerprint(salt, password))}) "
        "ON CONFLICT (role_name, branch_id) DO UPDATE SET salt = excluded.salt, fingerprint = excluded.fingerprint, "
        "set_at = pg_catalog.clock_timestamp();"
    )
    try:
        session.run(f"BEGIN;{settings}{record}")
        # In plain text, since Neon refuses a hash; a query of its own, whose text no error of ours repeats.
        session.run(f"ALTER ROLE {quoted} LOGIN CONNECTION LIMIT {CONNECTION_LIMIT} PASSWORD {literal(password)}")
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
