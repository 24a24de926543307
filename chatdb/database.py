"""What the typed queries run on: the pool, or one of its connections inside a transaction of the caller's."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import TypeAlias

Database: TypeAlias = "asyncpg.Pool | asyncpg.Connection"
Row: TypeAlias = "asyncpg.Record"


@asynccontextmanager
async def transaction(database: Database) -> AsyncIterator[Any]:
    """Give a connection in a transaction: a new one of the pool, or a savepoint on the connection that was given."""
    if isinstance(database, asyncpg.Pool):
        async with database.acquire() as connection, connection.transaction():
            yield connection
    else:
        async with database.transaction():
            yield database
