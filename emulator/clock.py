"""The emulator's time, which a test may move forward."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Wall-clock time plus an offset, so that seven days can pass in a test."""

    def __init__(self) -> None:
        self._offset = timedelta()
        self._jumps: list[tuple[datetime, timedelta]] = []  # the real instant of each, and the offset before it

    def now(self) -> datetime:
        """The present, in UTC."""
        return datetime.now(UTC) + self._offset

    def stamp(self) -> str:
        """The present as the API writes it."""
        return write(self.now())

    def advance(self, seconds: float) -> None:
        """Let that much time pass at once."""
        self._jumps.append((datetime.now(UTC), self._offset))
        self._offset += timedelta(seconds=seconds)

    def real(self, instant: datetime) -> datetime:
        """The machine's time at an instant of this clock: servers write that into their logs, and files have it."""
        offset = self._offset
        for jump, before in reversed(self._jumps):
            if instant - offset >= jump:
                return instant - offset
            if instant - before >= jump:
                return jump  # within the time that passed at once
            offset = before
        return instant - offset

    def told(self, real: datetime) -> datetime:
        """The instant of this clock at a time of the machine."""
        later = [before for jump, before in self._jumps if real < jump]
        return real + (later[0] if later else self._offset)

    def after(self, seconds: float) -> datetime:
        """The instant in that many seconds."""
        return self.now() + timedelta(seconds=seconds)

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
    try:
        return instant.astimezone(UTC)
    except OverflowError:  # of the first or the last day that there is
        raise ValueError("no time in UTC") from None
