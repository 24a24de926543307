"""What a test may do to the emulator, beside the API: faults, the clock, the calls that were made.

Reached below /emulator with `Authorization: Bearer TOKEN` (the file admin-token of the data folder), never with the
API's key and never from another machine.
"""

from __future__ import annotations

import hmac
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulator.errors import ApiError, bad_request
from emulator.faults import WrongFault
from emulator.fields import Fields
from emulator.json_body import read_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from starlette.requests import Request

    from emulator.control import Control
    from emulator.faults import Switchboard

_LONGEST_JUMP = 366 * 24 * 3600


def routes(
    control: Control, token: str, faults: Switchboard, calls: Iterable[dict[str, Any]], stop: Callable[[], None]
) -> list[Route]:
    """The administration's routes."""

    async def show_faults(_: Request) -> Response:
        return JSONResponse(_shape(faults))

    async def add_fault(request: Request) -> Response:
        try:
            faults.add(await read_json(request))
        except WrongFault as wrong:
            raise bad_request(str(wrong)) from None
        return JSONResponse(_shape(faults), 201)

    async def clear_faults(_: Request) -> Response:
        faults.clear()
        return JSONResponse(_shape(faults))

    async def advance_clock(request: Request) -> Response:
        seconds = Fields(await read_json(request)).number("advance_seconds", -1)
        if not 0 <= seconds <= _LONGEST_JUMP:
            raise bad_request(f"advance_seconds must be between 0 and {_LONGEST_JUMP}")
        control.clock.advance(seconds)
        return JSONResponse({"now": control.clock.stamp()})

    async def show_calls(_: Request) -> Response:
        return JSONResponse({"calls": list(calls)})

    async def end(_: Request) -> Response:
        stop()
        return JSONResponse({})

    table = (
        ("GET", "/emulator/faults", show_faults),
        ("POST", "/emulator/faults", add_fault),
        ("DELETE", "/emulator/faults", clear_faults),
        ("POST", "/emulator/clock", advance_clock),
        ("GET", "/emulator/calls", show_calls),
        ("POST", "/emulator/stop", end),
    )
    return [Route(path, _guarded(token, answer), methods=[method]) for method, path, answer in table]


def _guarded(token: str, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def guard(request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise ApiError(401, "the administration wants its own token")
        return await answer(request)

    return guard


def _shape(faults: Switchboard) -> dict[str, Any]:
    return {
        "calls": [asdict(fault) for fault in faults.calls],
        "operations": [asdict(fault) for fault in faults.operations],
        "moments": [asdict(fault) for fault in faults.moments],
    }
