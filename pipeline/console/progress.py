"""Progress on standard error: a live display on a terminal, plain lines anywhere else. NO_COLOR is honoured."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from pipeline.deploy.observer import Observer

if TYPE_CHECKING:
    from types import TracebackType


class Progress(Observer):
    """Plain lines, one for each thing that happened. Use it as a context manager."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is open here."""

    def say(self, text: str) -> None:
        """One line on standard error. Where nobody reads any more, the work goes on in silence."""
        with suppress(OSError):
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def note(self, text: str) -> None:
        self.say(f"note: {text}")

    def notice(self, text: str) -> None:
        self.say(f"server: {text}")

    def waiting(self, holder: str) -> None:
        self.say(f"waiting for the lock, which {holder} has")

    def applied(self, migration: str, milliseconds: int | None) -> None:
        self.say(f"  {migration}{_time(milliseconds)}")

    def retrying(self, migration: str, why: str, seconds: float) -> None:
        self.say(f"  {migration}: {why}; trying again in {seconds:.1f} s")


class LiveProgress(Progress):
    """A bar with the time that went by, above it the plain lines."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: Any = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)

    def starting(self, pending: int) -> None:
        self._task = self._bar.add_task("", total=pending)
        self._bar.start()

    def running(self, migration: str) -> None:
        if self._task is not None:
            self._bar.update(self._task, description=migration)

    def applied(self, migration: str, milliseconds: int | None) -> None:
        super().applied(migration, milliseconds)
        if self._task is not None:
            self._bar.advance(self._task)


def progress() -> Progress:
    """The display that fits where standard error goes to."""
    return LiveProgress() if sys.stderr.isatty() else Progress()


def _time(milliseconds: int | None) -> str:
    if not milliseconds:  # answers of one packet arrive together: their times are not to be told apart
        return ""
    return f"  {milliseconds} ms" if milliseconds < 10_000 else f"  {milliseconds / 1000:.0f} s"
