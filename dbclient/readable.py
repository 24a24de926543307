"""What every client of the database can read back: asyncpg in Python and Prisma in TypeScript.

One value that a client cannot read breaks its look at a whole thread, so it is refused before it is sent, by the name of
its field. docs/schema.md has the table of what becomes of such values from other writers.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from dbclient.errors import UnreadableValue

if TYPE_CHECKING:
    from collections.abc import Iterable

# JavaScript's numbers are doubles: beyond it, two whole numbers share one (Number.MAX_SAFE_INTEGER + 1).
LARGEST_WHOLE = 2**53
# Python's json gives up at about 900 levels inside of a request, and deeper than this nobody writes by hand.
DEEPEST = 100

_SUSPICIOUS = re.compile(r"\d{16}|\\u0000|[\ud800-\udfff]")


def check_text(field: str, value: Any) -> str:
    """Return text that PostgreSQL and every client can hold. Raises UnreadableValue."""
    if type(value) is not str and not isinstance(value, str):
        raise UnreadableValue(field, f"is not text but {_kind(value)}")
    if "\0" in value:
        raise UnreadableValue(field, "holds a NUL character, which the database cannot store")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UnreadableValue(field, "holds half of a surrogate pair, which is no character") from None
    return value


def check_text_or_null(field: str, value: Any) -> str | None:
    """Return text, or None for None. Raises UnreadableValue."""
    return None if value is None else check_text(field, value)


def check_keys(field: str, values: Iterable[Any]) -> list[str]:
    """Return the texts of an array, each once and none of them null. Raises UnreadableValue."""
    if isinstance(values, str):
        raise UnreadableValue(field, "is one text, where several are expected: put it into a list")
    return list(dict.fromkeys(check_text(f"{field}[{number}]", value) for number, value in enumerate(values)))


def dump_checked(field: str, value: object) -> str:
    """Write a value as JSON that every client reads as the same value. Raises UnreadableValue."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise UnreadableValue(field, "is nested too deeply, or holds itself") from None
    except (TypeError, ValueError) as error:
        raise UnreadableValue(field, f"is no JSON: {error}") from None
    if _SUSPICIOUS.search(text) or text.count("[") + text.count("{") > DEEPEST:
        _check_json(field, value)
    return text


def _check_json(field: str, value: Any) -> None:
    """Look at each part of a value that may be one that only Python reads. By a list of its own, not by recursion."""
    waiting = [(field, value, 0)]
    while waiting:
        place, part, depth = waiting.pop()
        if depth > DEEPEST:
            raise UnreadableValue(field, f"is nested more than {DEEPEST} levels deep")
        if isinstance(part, str):
            check_text(place, part)
        elif isinstance(part, int) and abs(part) > LARGEST_WHOLE:
            raise UnreadableValue(
                place, "is a whole number beyond 2^53, which JavaScript reads as another one: keep it as text"
            )
        elif isinstance(part, dict):
            for key, each in part.items():
                if isinstance(key, str):
                    check_text(f"a key of {place}", key)
                waiting.append((f"{place}.{key}", each, depth + 1))
        elif isinstance(part, (list, tuple)):
            waiting.extend((f"{place}[{number}]", each, depth + 1) for number, each in enumerate(part))


def _kind(value: object) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"
