"""The AI service in one file: Starlette on dbclient and chatdb.

Run: DATABASE_URL=… uvicorn --app-dir examples/ai_service app:app --limit-concurrency 200 --timeout-graceful-shutdown 20

What a client did wrong is a 4xx with the field's name. A database that is out of reach is a 503, and anything else a 500
that says nothing of the inside. On SIGTERM uvicorn takes no more connections, lets the requests under way end, and the
lifespan closes the pool.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Route

from chatdb import messages, threads
from chatdb.errors import ThreadNotFound
from chatdb.messages import Message, NewMessage, Role
from dbclient.errors import InvalidCursor, PoolNotOpen, UnreadableValue
from dbclient.paging import Cursor
from dbclient.pool import get_pool, lifespan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from starlette.requests import Request

LARGEST_BODY = 1 << 20  # bytes
MOST_MESSAGES = 100  # in one request
BODY_SECONDS = 10.0
# How long a request may take in all: a compute that sleeps takes seconds to wake, and nobody waits for a minute.
REQUEST_SECONDS = float(os.environ.get("REQUEST_SECONDS", "20"))

_log = logging.getLogger("uvicorn.error")


class Refused(Exception):
    """A request that is answered with a status and a sentence; `field` is the part of the body that is wrong."""

    def __init__(self, status: int, error: str, field: str | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.field = field


async def create_thread(_: Request) -> JSONResponse:
    """POST /threads: a new thread, with nothing in it."""
    thread = await threads.create(get_pool())
    return JSONResponse({"id": str(thread.id), "createdAt": thread.created_at.isoformat()}, 201)


async def append_messages(request: Request) -> JSONResponse:
    """POST /threads/{id}/messages: one message, or a list of them in their order."""
    body = await _read_json(request)
    if isinstance(body, list):
        stored = await messages.append_many(get_pool(), _thread_id(request), _read_list(body))
    else:
        stored = (await messages.append(get_pool(), _thread_id(request), _read_message(body, "")),)
    return JSONResponse([_shown(message) for message in stored], 201)


async def read_messages(request: Request) -> JSONResponse:
    """GET /threads/{id}/messages?after=…: a page of the history, oldest first."""
    after = request.query_params.get("after")
    page = await messages.history(get_pool(), _thread_id(request), after=Cursor.parse(after) if after else None)
    if not page.rows and await threads.get(get_pool(), _thread_id(request)) is None:
        raise ThreadNotFound(_thread_id(request))
    return JSONResponse({"messages": list(map(_shown, page.rows)), "next": str(page.next) if page.next else None})


async def _read_json(request: Request) -> Any:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > LARGEST_BODY:
                    raise Refused(413, f"a body has at most {LARGEST_BODY} bytes")
    except TimeoutError:
        raise Refused(408, "the body took too long") from None
    try:
        return json.loads(body.decode())
    except (ValueError, RecursionError):  # UnicodeDecodeError and a number of thousands of digits are ValueErrors too
        raise Refused(400, "the body is not JSON in UTF-8, or is nested too deeply") from None


def _read_list(body: list[Any]) -> list[NewMessage]:
    if not 1 <= len(body) <= MOST_MESSAGES:
        raise Refused(400, f"a list has 1 to {MOST_MESSAGES} messages")
    return [_read_message(each, f"[{number}]") for number, each in enumerate(body)]


def _read_message(body: Any, at: str) -> NewMessage:
    if not isinstance(body, dict):
        raise Refused(400, 'a message is an object: {"role": …, "content": …}', at or None)
    prefix = at + "." if at else ""
    role, content = body.get("role"), body.get("content")
    if role not in list(Role):
        raise Refused(400, f"role is one of {', '.join(Role)}", prefix + "role")
    if not isinstance(content, str):
        raise Refused(400, "content is a text", prefix + "content")
    return NewMessage(Role(role), content)


def _thread_id(request: Request) -> UUID:
    identifier: UUID = request.path_params["id"]
    return identifier


def _shown(message: Message) -> dict[str, str]:
    return {
        "id": str(message.id),
        "role": message.role,
        "content": message.content,
        "createdAt": message.created_at.isoformat(),
    }


def _in_time(endpoint: Callable[[Request], Awaitable[JSONResponse]]) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def limited(request: Request) -> JSONResponse:
        async with asyncio.timeout(REQUEST_SECONDS):
            return await endpoint(request)

    return limited


OUT_OF_REACH = (
    OSError,  # refused, reset; TimeoutError too
    PoolNotOpen,  # the service stops
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # starts, stops, cancelled
    asyncpg.TooManyConnectionsError,
)


async def answer(request: Request, error: Exception) -> JSONResponse:
    """Say to the client what it can do about an error, and nothing of the inside."""
    match error:
        case Refused():
            return _error(error.status, str(error), error.field)
        case UnreadableValue():
            return _error(400, str(error), error.field)
        case InvalidCursor():
            return _error(400, str(error), "after")
        case ThreadNotFound():
            return _error(404, str(error))
        case HTTPException():
            return JSONResponse({"error": error.detail}, error.status_code, error.headers)
        case ClientDisconnect():
            return _error(400, "the client went away")  # nobody reads it
        case _ if isinstance(error, OUT_OF_REACH):
            _log.warning("%s %s: no database: %s", request.method, request.url.path, type(error).__name__)
            return JSONResponse({"error": "the database is out of reach, try again"}, 503, {"retry-after": "5"})
        case _:
            return _error(500, "internal error")  # uvicorn logs it with its traceback


def _error(status: int, error: str, field: str | None = None) -> JSONResponse:
    return JSONResponse({"error": error} | ({} if field is None else {"field": field}), status)


KNOWN = (Refused, UnreadableValue, InvalidCursor, ThreadNotFound, HTTPException, ClientDisconnect, *OUT_OF_REACH)
app = Starlette(
    routes=[
        Route("/threads", _in_time(create_thread), methods=["POST"]),
        Route("/threads/{id:uuid}/messages", _in_time(append_messages), methods=["POST"]),
        Route("/threads/{id:uuid}/messages", _in_time(read_messages)),
    ],
    exception_handlers=dict.fromkeys([*KNOWN, Exception], answer),
    lifespan=partial(lifespan, application_name="ai-service"),  # the pool: opened at start-up, closed at shutdown
)
