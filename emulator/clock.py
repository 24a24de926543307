"""The emulator's time, which a test may move forward."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Wall-clock time plus an offset, so that seven days can pass in a test."""

    def __init__(self) -> None:
        self._offset = timedelta()

    def now(self) -> datetime:
        """The present, in UTC."""
        return datetime.now(UTC) + self._offset

    def stamp(self) -> str:
        """The present as the API writes it."""
        return write(self.now())

    def advance(self, seconds: float) -> None:
        """Let that much time pass at once."""
        self._offset += timedelta(seconds=seconds)

    def seconds_since(self, stamp: str) -> float:
        """How long ago a stamp was; negative when it lies ahead."""
        return (self.now() - read(stamp)).total_seconds()


def write(instant: datetime) -> str:
    """An instant as the API writes it: RFC 3339, UTC, whole seconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(stamp: str) -> datetime:
    """An instant from RFC 3339 text; ValueError when it is malformed or has no time zone."""
    instant = datetime.fromisoformat(stamp)
    if instant.tzinfo is None:
        raise ValueError("no time zone")
    return instant.astimezone(UTC)
