"""A database's structure without its rows, as pg_dump --schema-only would carry it over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import sql

if TYPE_CHECKING:
    from psycopg import AsyncConnection

# What an extension brought along is the extension's (deptype e).
_FIND: LiteralString = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = ANY(%s::"char"[]) AND c.relpersistence <> 't'
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY c.oid
"""
_RESTART: LiteralString = """
    SELECT setval(s.seqrelid, s.seqstart, false) FROM pg_sequence s
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = s.seqrelid AND d.deptype = 'e')
"""


async def empty(connection: AsyncConnection[Any]) -> None:
    """Take away every row, large object and sequence value of the database; what extensions brought stays."""
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")  # no trigger has a say
        tables = await _find(connection, "r", "p")
        if tables:
            await connection.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(tables)))
        await connection.execute(_RESTART)
        for view in await _find(connection, "m"):
            await connection.execute(sql.SQL("REFRESH MATERIALIZED VIEW {} WITH NO DATA").format(view))
        await connection.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")


async def _find(connection: AsyncConnection[Any], *kinds: str) -> list[sql.Identifier]:
    cursor = await connection.execute(_FIND, [list(kinds)])
    return [sql.Identifier(str(schema), str(name)) for schema, name in await cursor.fetchall()]
