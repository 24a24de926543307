"""A local database for each git branch, where LOCAL_PER_BRANCH says so: a copy of the base's, made when it is first asked for.

The base branch (origin's default one, or main) works in the server's own database, every other branch in a copy. Only the
checkout's own server has them: DATABASE_URL names a database.
"""

from __future__ import annotations

import os
import re
from hashlib import sha256
from typing import TYPE_CHECKING

from dbclient.quoting import identifier, literal
from pipeline.errors import ConfigurationError, DatabaseFailed, Refused
from pipeline.git import branch_here, default_base
from pipeline.postgres.connect import open_session
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.postgres.session import Session

CHOICE = "LOCAL_PER_BRANCH"
"""The variable that asks for it: 1, or 0."""

_DETACHED = "detached"
_LONGEST = 63  # bytes of a database's name
_MAINTENANCE = "postgres"
_IN_USE, _DUPLICATE = "55006", "42P04"

_WHO = """
SELECT DISTINCT coalesce(nullif(application_name, ''), usename) || ' (pid ' || pid || ')'
  FROM pg_catalog.pg_stat_activity WHERE datname = {name} AND pid <> pg_catalog.pg_backend_pid() ORDER BY 1
"""
# What CREATE DATABASE … TEMPLATE leaves out: who may do what with the database itself, and its settings.
_SETTINGS = """
SELECT CASE WHEN setrole <> 0 THEN pg_catalog.pg_get_userbyid(setrole) END, setting
  FROM pg_catalog.pg_db_role_setting CROSS JOIN pg_catalog.unnest(setconfig) setting
 WHERE setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = {name})
"""
_RIGHTS = """
SELECT CASE WHEN grantee <> 0 THEN pg_catalog.pg_get_userbyid(grantee) END, privilege_type
  FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) WHERE d.datname = {name}
"""


def is_wanted() -> bool:
    """Whether each branch is to have a database of its own.

    Raises:
        ConfigurationError: the variable is neither 0 nor 1.
    """
    wanted = os.environ.get(CHOICE, "").strip() or "0"
    if wanted not in {"0", "1"}:
        raise ConfigurationError(f"{CHOICE}={wanted} is unknown", remedy="It is 0 or 1.")
    return wanted == "1"


def database_of_branch(root: Path, url: DatabaseURL, tell: Callable[[str], None]) -> DatabaseURL:
    """The database of the branch that is checked out, on the server at `url`, whose own is the base branch's.

    Raises:
        Refused: it has to be copied, and somebody is connected to the base's. Nothing was changed.
        DatabaseFailed: the server refused to copy it.
    """
    base, branch = default_base(root).removeprefix("origin/"), branch_here(root) or _DETACHED
    if base in {"", branch}:
        return url
    original = url.database or ""
    name = database_name(original, branch)
    with open_session(url.copy_with(database=_MAINTENANCE), application_name="db-pipeline branch") as session:
        if not session.run(f"SELECT FROM pg_catalog.pg_database WHERE datname = {literal(name)}")[0].rows:
            tell(f"The branch {branch} gets a database of its own, {name}: a copy of {original}")
            _copy(session, original, name)
    return url.copy_with(database=name)


def database_name(original: str, branch: str) -> str:
    """A branch's database: shop__fix for the branch fix of shop, with a part of a digest where that is not the whole name."""
    plain = re.sub(r"[^a-z0-9_]+", "_", branch.lower())
    name = f"{original}__{plain}"
    if plain == branch and len(name) <= _LONGEST:
        return name
    digest = sha256(branch.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST - len(digest) - 1]}_{digest}"


def _copy(session: Session, original: str, name: str) -> None:
    try:
        session.run(f"CREATE DATABASE {identifier(name)} TEMPLATE {identifier(original)}")
    except ServerError as error:
        if error.sqlstate == _DUPLICATE:  # somebody else was faster
            return
        if error.sqlstate == _IN_USE:
            who = ", ".join(row[0] or "" for row in session.run(_WHO.format(name=literal(original)))[0].rows)
            raise Refused(
                f"{original} cannot be copied while somebody is connected to it: {who or 'a session that has just ended'}",
                remedy=f"Nothing was changed. Stop that for a moment and run this again, or set {CHOICE}=0.",
            ) from error
        raise DatabaseFailed(
            f"{original} could not be copied: {error.message}", remedy=f"Nothing was changed. {CHOICE}=0 does without."
        ) from error
    try:
        session.run("".join(f"{sql};" for sql in _what_a_copy_lacks(session, original, name)) or "SELECT 1")
    except BaseException:
        session.run(f"DROP DATABASE {identifier(name)}")
        raise


def _what_a_copy_lacks(session: Session, original: str, name: str) -> list[str]:
    rights, settings = session.run(
        f"{_RIGHTS.format(name=literal(original))};{_SETTINGS.format(name=literal(original))}"
    )
    on = identifier(name)
    made = [f"REVOKE ALL ON DATABASE {on} FROM PUBLIC"] if rights.rows else []
    for role, privilege in rights.rows:
        made.append(f"GRANT {privilege} ON DATABASE {on} TO {'PUBLIC' if role is None else identifier(role)}")
    for role, setting in settings.rows:
        key, _, value = (setting or "").partition("=")
        whose = f"DATABASE {on}" if role is None else f"ROLE {identifier(role)} IN DATABASE {on}"
        made.append(f"ALTER {whose} SET {identifier(key)} TO {_value(key, value)}")
    return made


def _value(key: str, value: str) -> str:
    """A setting's value; a list of names is kept as quoted already."""
    if key.lower() == "search_path":
        return value.replace('""', "''") or "''"
    return literal(value)
