"""Roles and databases inside a server, made and read as its superuser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

if TYPE_CHECKING:
    from psycopg import AsyncConnection

# The attributes that roles of Neon's API have (compute_tools/src/spec_apply.rs of neondatabase/neon).
_ROLE_OF_THE_API = "INHERIT CREATEROLE CREATEDB BYPASSRLS REPLICATION IN ROLE neon_superuser"


@dataclass(frozen=True)
class FoundRole:
    """A role as the catalog has it."""

    name: str
    login: bool
    verifier: str | None


@dataclass(frozen=True)
class FoundDatabase:
    """A database as the catalog has it."""

    name: str
    owner: str


async def read_roles(connection: AsyncConnection[Any]) -> list[FoundRole]:
    """Every role but PostgreSQL's and Neon's own, oldest first."""
    cursor = await connection.execute(
        "SELECT rolname, rolcanlogin, rolpassword FROM pg_authid"
        " WHERE rolname NOT LIKE 'pg\\_%' AND rolname NOT IN ('cloud_admin', 'neon_superuser') ORDER BY oid"
    )
    return [FoundRole(str(name), bool(login), verifier) for name, login, verifier in await cursor.fetchall()]


async def read_verifier(connection: AsyncConnection[Any], role: str) -> str | None:
    """What the server checks a role's password against; None for a role without one, and for no role."""
    cursor = await connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s::text::name", [role])
    found = await cursor.fetchone()
    return None if found is None else found[0]


async def read_databases(connection: AsyncConnection[Any]) -> tuple[list[FoundDatabase], int]:
    """Every database but the templates and `postgres`, oldest first, and the bytes of all."""
    cursor = await connection.execute(
        "SELECT datname, pg_get_userbyid(datdba), pg_database_size(oid),"
        " datname IN ('template0', 'template1', 'postgres') FROM pg_database WHERE datconnlimit <> -2 ORDER BY oid"
    )
    rows = await cursor.fetchall()
    databases = [FoundDatabase(str(name), str(owner)) for name, owner, _, own in rows if not own]
    return databases, sum(int(size) for _, _, size, _ in rows)


async def put_role(connection: AsyncConnection[Any], name: str, password: str | None) -> None:
    """Make the role, or give it this password if it is there. No password means NOLOGIN."""
    cursor = await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
    if await cursor.fetchone() is None:
        await connection.execute(sql.SQL("CREATE ROLE {} " + _ROLE_OF_THE_API).format(sql.Identifier(name)))
    if password is not None:
        await set_password(connection, name, password)


async def set_password(connection: AsyncConnection[Any], name: str, password: str) -> None:
    """Let the role log in with this password, and with no other. The server, whose log may show statements, gets a verifier."""
    verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    await set_verifier(connection, name, verifier.decode())


async def set_verifier(connection: AsyncConnection[Any], name: str, verifier: str) -> None:
    """Let the role log in with the password that a verifier of pg_authid is of."""
    statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}")
    await connection.execute(statement.format(sql.Identifier(name), sql.Literal(verifier)))


async def drop_role(connection: AsyncConnection[Any], name: str) -> None:
    """Drop the role if it is there; what it owns makes the server refuse."""
    await connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


async def put_database(connection: AsyncConnection[Any], name: str, owner: str) -> None:
    """Make the database, or give it this owner if it is there."""
    cursor = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
    exists = await cursor.fetchone() is not None
    statement = sql.SQL("ALTER DATABASE {} OWNER TO {}" if exists else "CREATE DATABASE {} OWNER {}")
    await connection.execute(statement.format(sql.Identifier(name), sql.Identifier(owner)))
    grant = sql.SQL("GRANT ALL PRIVILEGES ON DATABASE {} TO neon_superuser")
    await connection.execute(grant.format(sql.Identifier(name)))


async def rename_database(connection: AsyncConnection[Any], name: str, new_name: str) -> None:
    """Rename a database, ending its sessions."""
    cursor = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
    if await cursor.fetchone() is None:
        return
    await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
    await connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*map(sql.Identifier, (name, new_name))))


async def drop_database(connection: AsyncConnection[Any], name: str) -> None:
    """Drop the database if it is there, ending its sessions."""
    await connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


async def count_busy_sessions(connection: AsyncConnection[Any]) -> int:
    """Sessions that keep a compute awake: any client's that is not idle, as Neon's own monitor counts them."""
    cursor = await connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state <> 'idle'"
        " AND (backend_type = 'client backend' AND usename <> 'cloud_admin' OR backend_type = 'walsender')"
    )
    found = await cursor.fetchone()
    return int(found[0]) if found else 0
