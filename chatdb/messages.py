"""Messages: what was said in a thread, in order.

What is appended here gets a `createdAt` that is later than everything in its thread, a millisecond at least, whoever
else appends through here at the same time. Other writers get the time of their transaction, and rows of one INSERT
share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from chatdb.turns import in_turn
from dbclient.paging import FIRST, LAST, Cursor, Page, check_limit, cut_page
from dbclient.readable import check_text, check_text_or_null, dump_checked

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from dbclient.database import Database, Row

_TURN = """
WITH turn AS (
    UPDATE "Thread" SET "model" = "model"
    WHERE "id" = $1 AND xmin = (SELECT xmin FROM "Thread" WHERE "id" = $1)
    RETURNING "id"
)
"""
_START = """greatest(
    date_trunc('milliseconds', clock_timestamp()),
    (SELECT max("createdAt") + interval '1 millisecond' FROM "Message" WHERE "threadId" = $1)
)"""
_INTO = """
INSERT INTO "Message" (
    "threadId", "role", "content", "name", "toolCallId", "toolCalls", "provider", "model", "usage", "metaJson",
    "createdAt"
)
"""
# One message has a statement of its own: unnesting arrays of one costs the server more than an eighth of the whole call.
# What is sent as text is stored as it is; JSON is not, so the server says what became of it.
_APPEND = f"""{_TURN}{_INTO}
SELECT "id", $2, $3, $4, $5, $6::text::jsonb, $7, $8, $9::text::jsonb, $10::text::jsonb, {_START} FROM turn
RETURNING "id", "threadId", "createdAt", "toolCalls", "usage", "metaJson"
"""  # noqa: S608 - of our own constants
_APPEND_MANY = f"""{_TURN}, start AS MATERIALIZED (SELECT "id", {_START} AS instant FROM turn){_INTO}
SELECT start."id", each.role, each.content, each.name, each.tool_call_id, each.tool_calls::jsonb, each.provider,
    each.model, each.usage::jsonb, each.meta_json::jsonb, start.instant + (each.number - 1) * interval '1 millisecond'
FROM start, unnest(
    $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[]
) WITH ORDINALITY AS each (
    role, content, name, tool_call_id, tool_calls, provider, model, usage, meta_json, number
)
RETURNING "id", "threadId", "role", "content", "name", "toolCallId", "toolCalls", "provider", "model", "usage",
    "metaJson", "createdAt"
"""  # noqa: S608 - of our own constants
_HISTORY = """
SELECT "id", "threadId", "role", "content", "name", "toolCallId", "toolCalls", "provider", "model", "usage", "metaJson",
    "createdAt"
FROM "Message"
WHERE "threadId" = $1 AND ("createdAt", "id") > ($2, $3)
ORDER BY "createdAt"
FETCH FIRST ($4) ROWS WITH TIES
"""
_RECENT = """
SELECT "id", "threadId", "role", "content", "name", "toolCallId", "toolCalls", "provider", "model", "usage", "metaJson",
    "createdAt"
FROM "Message"
WHERE "threadId" = $1 AND ("createdAt", "id") < ($2, $3)
ORDER BY "createdAt" DESC
FETCH FIRST ($4) ROWS WITH TIES
"""


class Role(StrEnum):
    """Who speaks. The database refuses any other."""

    HUMAN = "human"
    AI = "ai"
    TOOL = "tool"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to append. The last three are kept as JSON, and None as NULL."""

    role: Role
    content: str
    name: str | None = None
    tool_call_id: str | None = None
    provider: str | None = None
    model: str | None = None
    tool_calls: Any = None
    usage: Any = None
    meta_json: Any = None


@dataclass(frozen=True)
class Message:
    """A row of "Message"."""

    id: UUID
    thread_id: UUID
    role: Role
    content: str
    name: str | None
    tool_call_id: str | None
    tool_calls: Any
    provider: str | None
    model: str | None
    usage: Any
    meta_json: Any
    created_at: datetime


async def append(database: Database, thread_id: UUID, message: NewMessage) -> Message:
    """Append a message to a thread and return it as stored. Raises ThreadNotFound and UnreadableValue."""
    values = _parameters(message)
    (stored,) = await in_turn(database, _APPEND, thread_id, *values)
    identifier, thread, created_at, tool_calls, usage, meta_json = stored
    role, content, name, call_id, _, provider, model, _, _ = values
    row = (identifier, thread, role, content, name, call_id, tool_calls, provider, model, usage, meta_json, created_at)
    return _message(row)


async def append_many(database: Database, thread_id: UUID, messages: Iterable[NewMessage]) -> tuple[Message, ...]:
    """Append messages to a thread in their order, all or none, and return them as stored.

    Raises ThreadNotFound and UnreadableValue.
    """
    columns = list(zip(*(_parameters(each, f"[{number}].") for number, each in enumerate(messages)), strict=True))
    if not columns:
        return ()
    rows = await in_turn(database, _APPEND_MANY, thread_id, *columns)
    return tuple(sorted(map(_message, rows), key=lambda message: message.created_at))


async def history(
    database: Database, thread_id: UUID, *, limit: int = 50, after: Cursor | None = None
) -> Page[Message]:
    """Read a page of a thread from its beginning on, oldest first; `after` is the page before's `next`."""
    position = after or FIRST
    rows = await database.fetch(_HISTORY, thread_id, position.created_at, position.id, check_limit(limit) + 1)
    return cut_page(map(_message, rows), limit, newest_first=False)


async def recent(
    database: Database, thread_id: UUID, *, limit: int = 50, before: Cursor | None = None
) -> Page[Message]:
    """Read a page of a thread from its end back, newest first; `before` is the page before's `next`."""
    position = before or LAST
    rows = await database.fetch(_RECENT, thread_id, position.created_at, position.id, check_limit(limit) + 1)
    return cut_page(map(_message, rows), limit, newest_first=True)


def _parameters(message: NewMessage, at: str = "") -> tuple[str | None, ...]:
    # JSON goes as text: in an array of jsonb, asyncpg would take a list for one more dimension.
    return (
        Role(message.role).value,
        check_text(at + "content", message.content),
        check_text_or_null(at + "name", message.name),
        check_text_or_null(at + "tool_call_id", message.tool_call_id),
        None if message.tool_calls is None else dump_checked(at + "tool_calls", message.tool_calls),
        check_text_or_null(at + "provider", message.provider),
        check_text_or_null(at + "model", message.model),
        None if message.usage is None else dump_checked(at + "usage", message.usage),
        None if message.meta_json is None else dump_checked(at + "meta_json", message.meta_json),
    )


_ROLES = {role.value: role for role in Role}


def _message(row: Row | tuple[Any, ...]) -> Message:
    # The constructor of a frozen dataclass sets every field through object.__setattr__, which for a page of them costs a
    # tenth of the whole query; this is four times as fast. The order is that of the columns in the statements above.
    message = object.__new__(Message)
    field = message.__dict__
    field["id"], field["thread_id"], role, field["content"], field["name"], field["tool_call_id"], *rest = row
    field["tool_calls"], field["provider"], field["model"], field["usage"], field["meta_json"], field["created_at"] = (
        rest
    )
    field["role"] = _ROLES[role]
    return message
