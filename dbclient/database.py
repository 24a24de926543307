"""What the typed queries run on: the pool, or one of its connections inside a transaction of the caller's."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from dbclient.readable import dump_checked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import TypeAlias

Database: TypeAlias = "asyncpg.Pool | asyncpg.Connection"
Row: TypeAlias = "asyncpg.Record"


async def prepare_connection(connection: asyncpg.Connection) -> None:
    """Make a connection read and write jsonb and json as Python values, which the typed queries rely on.

    The pool does it for its own connections; do it for one that was made without the pool. A value that not every client
    could read back is refused when it is sent: UnreadableValue, a ValueError.
    """
    for name in ("jsonb", "json"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=_dump, decoder=json.loads, format="text")


@asynccontextmanager
async def transaction(database: Database) -> AsyncIterator[Any]:
    """Give a connection in a transaction: a new one of the pool, or a savepoint on the connection that was given."""
    if isinstance(database, asyncpg.Pool):
        async with database.acquire() as connection, connection.transaction():
            yield connection
    else:
        async with database.transaction():
            yield database


def _dump(value: object) -> str:
    return dump_checked("a JSON value", value)
