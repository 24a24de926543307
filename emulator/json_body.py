"""Reads what a client sends: JSON that can be kept, told and written again. Whatever is not is a 400, for every route.

What `json.loads` lets through and nothing after it can bear: lone surrogates (no UTF-8), NUL (no name of PostgreSQL's), NaN
and numbers that no JSON of an answer holds, and nesting that no recursion comes back from.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from emulator.errors import bad_request

if TYPE_CHECKING:
    from starlette.requests import Request

_LONGEST = 1 << 20  # bytes: a thousand times what a client of this API sends
_DEEPEST = 32
_WHOLE = 1 << 63  # the specification's integers are int64
_UNUSABLE = re.compile("[\0\ud800-\udfff]")


async def read_json(request: Request) -> Any:
    """The request's JSON, an empty object where there is no body; a 400 for what cannot be kept.

    A body that is too long is read to its end nevertheless, and thrown away: the connection is good for the next request.
    """
    content = bytearray()
    too_long = False
    async for chunk in request.stream():
        too_long = too_long or len(content) + len(chunk) > _LONGEST
        if not too_long:
            content += chunk
    if too_long:
        raise bad_request(f"the request body is longer than {_LONGEST} bytes")
    if not content:
        return {}
    try:
        parsed = json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise bad_request("the request body is not JSON") from None
    _check(parsed)
    return parsed


def check_text(text: str, where: str) -> None:
    """Refuse text that PostgreSQL or UTF-8 cannot hold."""
    if _UNUSABLE.search(text):
        raise bad_request(f"{where} must be text without NUL and without lone surrogates")


def _refuse(name: str) -> float:
    raise ValueError(name)


def _check(parsed: Any) -> None:
    """Look at every value. Level by level, since what is nested too deep is nested too deep for a recursion."""
    level = [parsed]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += [*value, *value.values()]
            elif isinstance(value, list):
                below += value
            else:
                _check_scalar(value)
        if not below:
            return
        level = below
    raise bad_request(f"the request body is nested deeper than {_DEEPEST} levels")


def _check_scalar(value: object) -> None:
    if isinstance(value, str):
        check_text(value, "what the request body holds")
    elif isinstance(value, float) and not math.isfinite(value):
        raise bad_request("a number in the request body is too large")
    elif isinstance(value, int) and not -_WHOLE <= value < _WHOLE:
        raise bad_request("an integer in the request body has more than 64 bits")
