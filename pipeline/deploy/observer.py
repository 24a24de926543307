"""What a run tells while it goes on. The verbs render it; a program may listen too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.backfill.working import Stand


class Observer:
    """Told of each step as it happens; this one stays silent. Subclass it and override what matters."""

    def note(self, text: str) -> None:
        """Something that a reader of the log should know, as that a pooled host was replaced."""

    def notice(self, text: str) -> None:
        """A NOTICE or WARNING of the server."""

    def working(self, what: str) -> None:
        """Something that takes seconds is done now, with no count of what is left of it."""

    def beginning(self, what: str) -> None:
        """The next part of a work of several parts begins."""

    def resting(self) -> None:
        """Nothing is done now: somebody is asked."""

    def waiting(self, holder: str) -> None:
        """Another deploy has the lock; told when its holder changes."""

    def still_waiting(self, holder: str, seconds: float) -> None:
        """It has it still, so many seconds after the wait began; told once a second or oftener."""

    def starting(self, pending: int) -> None:
        """So many migrations are about to run."""

    def running(self, migration: str) -> None:
        """The server is at this one now."""

    def still_running(self, doing: str, seconds: float) -> None:
        """The server has said nothing for so many seconds: what it is `doing` in the one that it is at."""

    def applied(self, migration: str, milliseconds: int | None) -> None:
        """One is applied and recorded."""

    def backfilling(self, stand: Stand) -> None:
        """A batch of a backfill is committed, or it waits for something; told with each batch, which may be many a second."""

    def retrying(self, migration: str, why: str, seconds: float) -> None:
        """One did not get a lock that it needs, and is tried again in so many seconds."""
