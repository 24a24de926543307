"""What the server says beside its answers: told to the observer, of each file no more than somebody would read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.history.record import RUNNING

if TYPE_CHECKING:
    from pipeline.deploy.observer import Observer

LIMIT = 50  # messages of one file


class Notices:
    """Called with the SQLSTATE and the text of each NOTICE, INFO and WARNING."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._count = 0

    def __call__(self, sqlstate: str, text: str) -> None:
        """Tell of one message: of which file the server is at, or what it has to say of it."""
        if sqlstate == RUNNING:
            self._observer.running(text)
            return
        self._count += 1
        if self._count <= LIMIT:
            self._observer.notice(text)

    def end_of_file(self) -> None:
        """Say how many more there were."""
        if self._count > LIMIT:
            self._observer.notice(f"({self._count - LIMIT} more messages of this file, {self._count} in all)")
        self._count = 0
