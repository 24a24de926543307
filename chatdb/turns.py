"""Writers of one thread take turns, so that what they write has an order.

Each statement that writes in order begins with `turn`: it updates the thread's row, for which it waits while another
writer has it, and only if the row's version, xmin, is the one that the statement's snapshot sees. After a wait PostgreSQL
looks at the condition again, with the newer version of the row and the version that the snapshot saw.

When another writer came first, `turn` is empty and the statement writes nothing: its snapshot may be older than that
writer's rows, so it could not tell which instant comes after them. It is then run again behind a lock on the thread's
row, with a new snapshot.

So a write is one round trip while nobody else writes to the same thread, and always right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb.errors import ThreadNotFound
from dbclient.database import transaction

if TYPE_CHECKING:
    from uuid import UUID

    from dbclient.database import Database, Row

_LOCK = 'SELECT "id" FROM "Thread" WHERE "id" = $1 FOR NO KEY UPDATE'


async def in_turn(database: Database, statement: str, thread_id: UUID, *arguments: object) -> list[Row]:
    """Run a statement that has a `turn` and returns what it wrote, a row at least; its $1 is the thread's id.

    Raises ThreadNotFound.
    """
    rows: list[Row] = await database.fetch(statement, thread_id, *arguments)
    if rows:
        return rows
    async with transaction(database) as connection:
        if await connection.fetchval(_LOCK, thread_id) is None:
            raise ThreadNotFound(thread_id)
        again: list[Row] = await connection.fetch(statement, thread_id, *arguments)
    return again
