"""The ASGI application: authentication, faults, the API's routes and the administration beside them."""

from __future__ import annotations

import hmac
import logging
import time
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount

from emulator import admin
from emulator.errors import ApiError
from emulator.routes import routes

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from emulator.control import Control
    from emulator.faults import CallFault, Switchboard

API = "/api/v2"
_PAGE_524 = "<!DOCTYPE html><html><head><title>524: A timeout occurred</title></head><body>Error 524</body></html>"
_TEXTS = {
    423: "project already has running conflicting operations, scheduling of new ones is prohibited",
    429: "too many requests",
    500: "internal server error",
    503: "service unavailable",
}
log = logging.getLogger(__name__)


class Gate:
    """Stands before the routes: checks the key, lets faults happen, and keeps the last calls for whoever asks."""

    def __init__(self, app: ASGIApp, key: str, faults: Switchboard, abort: Callable[[int], None]) -> None:
        self._app = app
        self._key = key
        self._faults = faults
        self._abort = abort
        self.calls: deque[dict[str, Any]] = deque(maxlen=1000)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(API + "/"):
            await self._app(scope, receive, send)
            return
        began, method, short = time.monotonic(), scope["method"], path.removeprefix(API)
        call: dict[str, Any] = {"method": method, "path": short, "status": None, "fault": None}
        self.calls.append(call)

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                call["status"] = message["status"]
            await send(message)

        if not self._authorized(scope):
            await error_response(ApiError(401, "supplied credentials do not pass authentication"))(
                scope, receive, watched
            )
        elif fault := self._faults.for_call(method, short):
            call["fault"] = fault.kind if fault.kind != "answer" else str(fault.status)
            await self._fail(fault, scope, receive, watched)
        else:
            await self._app(scope, receive, watched)
        log.info("%s %s %s %.0f ms", method, short, call["status"], (time.monotonic() - began) * 1000)

    def _authorized(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        scheme, _, key = given.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(key.strip().encode(), self._key.encode())

    async def _fail(self, fault: CallFault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind == "lost" or fault.after_effect:
            await self._app(scope, receive, _swallow)
        if fault.kind == "answer":
            await _faulty_answer(fault)(scope, receive, send)
            return
        if fault.kind == "lost":
            self._abort(scope["client"][1])
        while (await receive())["type"] != "http.disconnect":
            pass


async def _swallow(_: Message) -> None:
    """Take an answer that nobody will see."""


def _faulty_answer(fault: CallFault) -> Response:
    if fault.status == 524:
        return Response(_PAGE_524, 524, media_type="text/html")
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    message = fault.message or _TEXTS.get(fault.status, "refused")
    return error_response(ApiError(fault.status, message, code=fault.code, headers=headers))


def error_response(error: ApiError) -> JSONResponse:
    """Neon's error body."""
    body = {"request_id": str(uuid.uuid4()), "code": error.code, "message": error.message}
    return JSONResponse(body, error.status, error.headers)


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for this type
    return error_response(error)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type
    return error_response(ApiError(error.status_code, error.detail.lower()))


async def _crash(_: Request, error: Exception) -> Response:
    log.error("unexpected", exc_info=error)
    return error_response(ApiError(500, "internal server error"))


def build(
    control: Control, key: str, token: str, faults: Switchboard, abort: Callable[[int], None], stop: Callable[[], None]
) -> Gate:
    """The application. `abort` closes the client connection of a local port (see proxy.py), `stop` ends it all."""
    handlers: dict[Any, Any] = {ApiError: _api_error, HTTPException: _http_error, Exception: _crash}
    app = Starlette(exception_handlers=handlers)
    gate = Gate(app, key, faults, abort)
    app.router.routes += [Mount(API, routes=routes(control)), *admin.routes(control, token, faults, gate.calls, stop)]
    return gate
