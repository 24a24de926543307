"""What a rehearsal tells while it goes on: which file it is at, and never what a server says, since that has values in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.rehearsal.measuring import Listener

if TYPE_CHECKING:
    from pipeline.deploy.observer import Observer


class Told(Listener):
    """Passes on how one run on a copy goes, each file with what is done to it there (`doing`, as "deployed").

    `took` are the milliseconds of the files that are through, in order.
    """

    def __init__(self, observer: Observer, doing: str) -> None:
        self.took: list[tuple[str, int | None]] = []
        self._observer = observer
        self._doing = doing

    def note(self, text: str) -> None:
        """Passed on."""
        self._observer.note(text)

    def waiting(self, holder: str) -> None:
        """Passed on."""
        self._observer.waiting(holder)

    def still_waiting(self, holder: str, seconds: float) -> None:
        """Passed on."""
        self._observer.still_waiting(holder, seconds)

    def still_running(self, doing: str, seconds: float) -> None:
        """Passed on."""
        self._observer.still_running(doing, seconds)

    def running(self, migration: str) -> None:
        """Passed on."""
        self._observer.running(migration)

    def applied(self, migration: str, milliseconds: int | None) -> None:
        """Passed on, and kept."""
        self.took.append((migration, milliseconds))
        self._observer.applied(f"{migration} {self._doing}", milliseconds)

    def retrying(self, migration: str, why: str, seconds: float) -> None:  # noqa: ARG002 - it is the server's
        """Passed on in words of our own."""
        self._observer.retrying(f"{migration}, to be {self._doing}", "a lock that it needs is somebody else's", seconds)
