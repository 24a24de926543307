"""Threads: conversations, each of one person or of nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chatdb.errors import ThreadNotFound
from dbclient.paging import LAST, Cursor, Page, check_limit, cut_page
from dbclient.readable import check_keys, check_text_or_null

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from dbclient.database import Database, Row

_CREATE = """
INSERT INTO "Thread" ("userId", "model", "activeScopeKeys") VALUES ($1, $2, $3)
RETURNING "id", "createdAt", "userId", "model", "activeScopeKeys"
"""
_GET = 'SELECT "id", "createdAt", "userId", "model", "activeScopeKeys" FROM "Thread" WHERE "id" = $1'
_DELETE = 'DELETE FROM "Thread" WHERE "id" = $1 RETURNING "id"'
_OF_USER = """
SELECT "id", "createdAt", "userId", "model", "activeScopeKeys"
FROM "Thread"
WHERE "userId" = $1 AND ("createdAt", "id") < ($2, $3)
ORDER BY "createdAt" DESC
FETCH FIRST ($4) ROWS WITH TIES
"""
_ACTIVE_SCOPES = 'SELECT "activeScopeKeys" FROM "Thread" WHERE "id" = $1'
_SET_ACTIVE_SCOPES = 'UPDATE "Thread" SET "activeScopeKeys" = $2 WHERE "id" = $1 RETURNING "activeScopeKeys"'


@dataclass(frozen=True, slots=True)
class Thread:
    """A row of "Thread"."""

    id: UUID
    created_at: datetime
    user_id: str | None
    model: str | None
    active_scope_keys: tuple[str, ...]


async def create(
    database: Database,
    *,
    user_id: str | None = None,
    model: str | None = None,
    active_scope_keys: Iterable[str] = (),
) -> Thread:
    """Create a thread; with no data at all, too.

    Raises asyncpg.ForeignKeyViolationError for an unknown user, and UnreadableValue.
    """
    keys = check_keys("active_scope_keys", active_scope_keys)
    user, with_model = check_text_or_null("user_id", user_id), check_text_or_null("model", model)
    return _thread(await database.fetchrow(_CREATE, user, with_model, keys))


async def get(database: Database, thread_id: UUID) -> Thread | None:
    """Read a thread; None when there is none of this id."""
    row = await database.fetchrow(_GET, thread_id)
    return None if row is None else _thread(row)


async def delete(database: Database, thread_id: UUID) -> bool:
    """Delete a thread with its messages and consents. Says whether there was one."""
    return await database.fetchval(_DELETE, thread_id) is not None


async def of_user(database: Database, user_id: str, *, limit: int = 50, before: Cursor | None = None) -> Page[Thread]:
    """Read a page of a person's threads, newest first; `before` is the page before's `next`."""
    position = before or LAST
    rows = await database.fetch(_OF_USER, user_id, position.created_at, position.id, check_limit(limit) + 1)
    return cut_page(map(_thread, rows), limit, newest_first=True)


async def active_scopes(database: Database, thread_id: UUID) -> tuple[str, ...]:
    """Read the keys of the scopes that apply to a thread. Raises ThreadNotFound."""
    keys = await database.fetchval(_ACTIVE_SCOPES, thread_id)
    if keys is None:
        raise ThreadNotFound(thread_id)
    return tuple(keys)


async def set_active_scopes(database: Database, thread_id: UUID, keys: Iterable[str]) -> tuple[str, ...]:
    """Replace the keys of the scopes that apply to a thread, each once. Raises ThreadNotFound and UnreadableValue.

    It records no consent; `consents.grant` and `consents.revoke` change both together.
    """
    stored = await database.fetchval(_SET_ACTIVE_SCOPES, thread_id, check_keys("keys", keys))
    if stored is None:
        raise ThreadNotFound(thread_id)
    return tuple(stored)


def _thread(row: Row) -> Thread:
    identifier, created_at, user_id, model, keys = row
    return Thread(identifier, created_at, user_id, model, tuple(keys))
