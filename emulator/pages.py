"""Pages of a list: a cursor is the key of the last item that was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from emulator.errors import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Item = TypeVar("Item")
_MOST = 10_000


def cut(
    items: Sequence[Item], query: Mapping[str, str], *, default: int, key: Callable[[Item], str]
) -> tuple[Sequence[Item], str | None, bool]:
    """The page that `limit` and `cursor` ask for, its last item's key (None if empty), and whether more follow."""
    try:
        limit = int(query.get("limit") or default)
    except ValueError:
        raise bad_request("limit must be an integer") from None
    if not 1 <= limit <= _MOST:
        raise bad_request(f"limit must be between 1 and {_MOST}")
    cursor, begin = query.get("cursor"), 0
    if cursor:
        keys = [key(item) for item in items]
        begin = keys.index(cursor) + 1 if cursor in keys else len(items)
    page = items[begin : begin + limit]
    return page, key(page[-1]) if page else None, begin + limit < len(items)
