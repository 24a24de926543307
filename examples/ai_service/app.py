"""The AI service in one file: Starlette on chatdb.

Run: DATABASE_URL=… uvicorn --app-dir examples/ai_service app:app
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from chatdb import messages, threads
from chatdb.errors import InvalidCursor, ThreadNotFound
from chatdb.messages import Message, NewMessage, Role
from chatdb.paging import Cursor
from chatdb.pool import get_pool, lifespan

if TYPE_CHECKING:
    from uuid import UUID

    from starlette.requests import Request


async def create_thread(_: Request) -> JSONResponse:
    """POST /threads: a new thread, with nothing in it."""
    thread = await threads.create(get_pool())
    return JSONResponse({"id": str(thread.id), "createdAt": thread.created_at.isoformat()}, 201)


async def append_messages(request: Request) -> JSONResponse:
    """POST /threads/{id}/messages: one message, or a list of them in their order."""
    body = await request.json()
    new = [NewMessage(Role(each["role"]), each["content"]) for each in (body if isinstance(body, list) else [body])]
    stored = await messages.append_many(get_pool(), _thread_id(request), new)
    return JSONResponse([_shown(message) for message in stored], 201)


async def read_messages(request: Request) -> JSONResponse:
    """GET /threads/{id}/messages?after=…: a page of the history, oldest first."""
    after = request.query_params.get("after")
    page = await messages.history(get_pool(), _thread_id(request), after=Cursor.parse(after) if after else None)
    return JSONResponse({"messages": list(map(_shown, page.rows)), "next": str(page.next) if page.next else None})


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


async def _explain(status: int, _: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status)


app = Starlette(
    routes=[
        Route("/threads", create_thread, methods=["POST"]),
        Route("/threads/{id:uuid}/messages", append_messages, methods=["POST"]),
        Route("/threads/{id:uuid}/messages", read_messages),
    ],
    exception_handlers={
        ThreadNotFound: partial(_explain, 404),
        InvalidCursor: partial(_explain, 400),
        ValueError: partial(_explain, 400),
        KeyError: partial(_explain, 400),
    },
    lifespan=partial(lifespan, application_name="ai-service"),  # the pool: opened at start-up, closed at shutdown
)
