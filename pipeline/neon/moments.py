"""A moment of a branch, as Neon's API takes one: a log position, an instant, or neither for now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class Moment:
    """A log position such as 0/1E8A9B8 (pg_current_wal_insert_lsn of the branch), or an instant with a time zone."""

    lsn: str = ""
    instant: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse both at once: they exclude one another. Raises UsageError."""
        if self.lsn and self.instant is not None:
            raise UsageError("a moment is a log position or an instant, not both", remedy="Give one of them.")

    def fields(self, prefix: str = "") -> dict[str, str]:
        """What a request says of it, each name behind a prefix such as `parent_`; nothing for now."""
        if self.lsn:
            return {f"{prefix}lsn": self.lsn}
        return {} if self.instant is None else {f"{prefix}timestamp": with_zone(self.instant)}


NOW = Moment()


def with_zone(instant: datetime) -> str:
    """An instant as the API takes it. Raises UsageError for one without a time zone: nobody knows which instant it is."""
    if instant.tzinfo is None:
        raise UsageError("an instant needs a time zone", remedy="Give it as 2026-12-31T18:00:00+00:00.")
    return instant.isoformat()
