"""A database's schema, as the API tells it: pg_dump's text, or the tables as JSON."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, LiteralString

from emulator.servers import SUPERUSER

if TYPE_CHECKING:
    from pathlib import Path

    from emulator.servers import Cluster
    from servers.account import Account

_RESTRICTED = re.compile(r"^\\restrict (\w+)$", re.MULTILINE)

_COLUMNS: LiteralString = """
    SELECT c.oid, n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
        a.attgenerated <> ''
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    ORDER BY n.nspname, c.relname, a.attnum"""
_CONSTRAINTS: LiteralString = """
    SELECT k.conrelid, k.contype::text, k.conname, nf.nspname, f.relname,
        ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(number, place)
            JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place),
        ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(number, place)
            JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY u.place)
    FROM pg_constraint k LEFT JOIN pg_class f ON f.oid = k.confrelid LEFT JOIN pg_namespace nf ON nf.oid = f.relnamespace
    WHERE k.contype IN ('p', 'u', 'f') AND k.conrelid <> 0 ORDER BY k.conrelid, k.conname"""
_KINDS = {"p": "primary_key", "u": "unique", "f": "foreign_key"}


class DumpFailed(Exception):
    """pg_dump did not do it; the message is what it said."""


async def dump(server: Cluster, database: str, programs: Path, account: Account, password: str) -> str:
    """The schema of a database as pg_dump writes it, with owners and rights."""
    options = account.spawn()
    options["env"] = {**options["env"], "PGPASSWORD": password}
    process = await asyncio.create_subprocess_exec(
        programs / "pg_dump",
        "--schema-only",
        "--no-password",
        *("--host", "127.0.0.1", "--port", str(server.port), "--username", SUPERUSER),
        # The name as it is: pg_dump would take one with an equals sign for a connection string.
        f"--dbname=dbname='{_quoted(database)}'",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=server.data,
        **options,
    )
    try:
        text, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise DumpFailed(errors.decode(errors="replace").strip())
    return _without_key(text.decode())


async def tables(server: Cluster, database: str) -> list[dict[str, Any]]:
    """The tables of a database with their columns and keys, as BranchSchemaJSON of Neon's specification has them."""
    async with await server.connect(database) as connection:
        columns = await (await connection.execute(_COLUMNS)).fetchall()
        constraints = await (await connection.execute(_CONSTRAINTS)).fetchall()
    found: dict[int, dict[str, Any]] = {}
    for oid, schema, table, name, kind, nullable, generated in columns:
        shape = found.setdefault(oid, {"schema": schema, "name": table, "columns": [], "constraints": []})
        if name is not None:
            column = {"name": name, "type": kind, "nullable": nullable, "generated": generated}
            shape["columns"].append(column)
    for oid, kind, name, schema, table, own, others in constraints:
        if oid not in found:
            continue
        constraint: dict[str, Any] = {"type": _KINDS[kind], "columns": own, "name": name}
        if kind == "f":
            constraint["referenced_table"] = {"schema": schema, "table": table, "columns": others}
        found[oid]["constraints"].append(constraint)
    return list(found.values())


def _without_key(text: str) -> str:
    """The dump without the random key that newer programs put around it, so that equal schemas have equal texts."""
    key = _RESTRICTED.search(text)
    if key is None:
        return text
    return text.replace(f"\\restrict {key[1]}\n\n", "", 1).replace(f"\\unrestrict {key[1]}\n\n", "", 1)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
