"""Pages by keyset: each begins after the last row of the one before, by (createdAt, id), however the table grows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar
from uuid import UUID

from dbclient.errors import InvalidCursor

if TYPE_CHECKING:
    from collections.abc import Iterable

LARGEST_PAGE = 1000


class Placed(Protocol):
    """A row that has a place in the order of pages."""

    @property
    def id(self) -> UUID:
        """The second key."""

    @property
    def created_at(self) -> datetime:
        """The first key."""


RowT = TypeVar("RowT", bound=Placed)


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """The place of one row. `str()` writes it for a URL, `parse` reads it back."""

    created_at: datetime
    id: UUID

    @classmethod
    def of(cls, row: Placed) -> Cursor:
        """Give the place of a row."""
        return cls(row.created_at, row.id)

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read what `str()` wrote. Raises InvalidCursor."""
        instant, _, identifier = text.partition("_")
        try:
            return cls(datetime.fromisoformat(instant).astimezone(UTC), UUID(identifier))
        except (ValueError, OverflowError):
            raise InvalidCursor from None

    def __str__(self) -> str:
        instant = self.created_at.astimezone(UTC).isoformat(timespec="milliseconds")
        return f"{instant.removesuffix('+00:00')}Z_{self.id}"


FIRST = Cursor(datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))
LAST = Cursor(datetime(9999, 12, 31, tzinfo=UTC), UUID(int=2**128 - 1))


@dataclass(frozen=True, slots=True)
class Page(Generic[RowT]):
    """Some rows, and where the next page begins: None when there is nothing more."""

    rows: tuple[RowT, ...]
    next: Cursor | None


def check_limit(limit: int) -> int:
    """Refuse a page size out of range."""
    if not 1 <= limit <= LARGEST_PAGE:
        raise ValueError(f"a page has 1 to {LARGEST_PAGE} rows, not {limit}")
    return limit


def cut_page(rows: Iterable[RowT], limit: int, *, newest_first: bool) -> Page[RowT]:
    """Make a page of the rows that were read: up to one more than the limit, and all that share that one's instant.

    The queries ask for `limit + 1` rows WITH TIES in the order of createdAt alone, which the index has; the order of
    rows of one instant is made here. So the plan needs no sort, and such rows are neither lost nor repeated.
    """
    ordered = sorted(rows, key=lambda row: (row.created_at, row.id), reverse=newest_first)
    page = tuple(ordered[:limit])
    return Page(page, Cursor.of(page[-1]) if len(ordered) > limit else None)
