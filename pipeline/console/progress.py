"""Progress on standard error: a live display on a terminal, plain lines anywhere else. NO_COLOR is honoured."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from pipeline.console.backfills import stand_text
from pipeline.console.terminal import on_github, one_line, printable, write_error
from pipeline.deploy.observer import Observer

if TYPE_CHECKING:
    from types import TracebackType

    from pipeline.backfill.working import Stand


_SAY_AGAIN = 60.0  # seconds between two lines about one and the same wait
_BACKFILL_EVERY = 10.0  # seconds between two lines about a backfill


class Progress(Observer):
    """Plain lines, one for each thing that happened. Use it as a context manager."""

    _running = ""  # the migration that the server is at
    _told_of_backfill = -_BACKFILL_EVERY  # by time.monotonic(), which may begin anywhere
    _said: float | None = None  # of a wait for the lock: when its last line came, in seconds from its beginning

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is open here."""

    def say(self, text: str) -> None:
        """One line on standard error. Where nobody reads any more, the work goes on in silence."""
        write_error(text + "\n")

    def note(self, text: str) -> None:
        self.say(f"note: {text}")

    def notice(self, text: str) -> None:
        self.say(self.told(text).rstrip("\n"))

    def beginning(self, what: str) -> None:
        self.say(what)

    @staticmethod
    def told(text: str) -> str:
        """What the server says, in lines that stay apart from what we say."""
        return "server: " + text.replace("\n", "\n        ") + "\n"

    def waiting(self, holder: str) -> None:
        self._said = None
        self.say(f"waiting for the lock, which {one_line(holder)} has")

    def still_waiting(self, holder: str, seconds: float) -> None:
        if self._said is None:
            self._said = seconds
        elif seconds - self._said >= _SAY_AGAIN:
            self._said = seconds
            self.say(f"still waiting for the lock after {seconds:.0f} s: {one_line(holder)} has it")

    def running(self, migration: str) -> None:
        self._running = one_line(migration)

    def still_running(self, doing: str, seconds: float) -> None:
        self.say(f"  {self._running or 'the next migration'}: {seconds:.0f} s so far, {one_line(doing)}")

    def applied(self, migration: str, milliseconds: int | None) -> None:
        self.say(f"  {migration}{_time(milliseconds)}")

    def backfilling(self, stand: Stand) -> None:
        now = time.monotonic()
        if stand.backfill.is_complete or now - self._told_of_backfill >= _BACKFILL_EVERY:
            self._told_of_backfill = now
            self.say(f"  {one_line(stand_text(stand))}")

    def retrying(self, migration: str, why: str, seconds: float) -> None:
        self.say(f"  {migration}: {why}; trying again in {seconds:.1f} s")


class GitHubProgress(Progress):
    """Plain lines; what the server says of a file is folded, up to fifty lines of each."""

    _is_open = False

    def say(self, text: str) -> None:
        self._fold_no_more()
        super().say(text)

    def running(self, migration: str) -> None:
        super().running(migration)
        self._fold_no_more()

    def notice(self, text: str) -> None:
        if not self._is_open:
            self._is_open = True
            title = f"messages of the server{self._running and f', in {self._running}'}"
            self._command("group", title)
        write_error(self.told(text))

    def __exit__(self, *ending: object) -> None:
        self._fold_no_more()

    def _fold_no_more(self) -> None:
        if self._is_open:
            self._is_open = False
            self._command("endgroup")

    @staticmethod
    def _command(name: str, message: str = "") -> None:
        # the linter comes with it: a deploy with nothing to fold has none
        from pipeline.lint.reporting import workflow_command

        write_error(workflow_command(name, message) + "\n", commands=True)


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
        self._wait: Any = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        with suppress(OSError):
            self._bar.console.print(printable(text), markup=False, highlight=False)

    def still_waiting(self, holder: str, seconds: float) -> None:  # noqa: ARG002 - the bar has a clock of its own
        if self._wait is None:
            self._wait = self._bar.add_task("", total=None)
            self._bar.start()
        self._bar.update(self._wait, description=f"waiting for {one_line(holder)}")

    def working(self, what: str) -> None:
        if self._wait is None:
            self._wait = self._bar.add_task("", total=None)
            self._bar.start()
        self._bar.update(self._wait, description=what)

    def resting(self) -> None:
        if self._wait is not None:
            self._bar.remove_task(self._wait)
            self._bar.stop()
            self._wait = None

    def beginning(self, what: str) -> None:
        super().beginning(what)
        self.working(what)

    def starting(self, pending: int) -> None:
        if self._wait is not None:
            self._bar.remove_task(self._wait)
            self._wait = None
        self._task = self._bar.add_task("", total=pending)
        self._bar.start()

    def running(self, migration: str) -> None:
        super().running(migration)
        if self._task is not None:
            self._bar.update(self._task, description=self._running)

    def still_running(self, doing: str, seconds: float) -> None:  # noqa: ARG002 - the bar has a clock of its own
        if self._task is not None:
            self._bar.update(self._task, description=f"{self._running}: {one_line(doing)}")

    def applied(self, migration: str, milliseconds: int | None) -> None:
        super().applied(migration, milliseconds)
        if self._task is not None:
            self._bar.advance(self._task)


def progress() -> Progress:
    """The display that fits where standard error goes to."""
    if on_github():
        return GitHubProgress()
    return LiveProgress() if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb" else Progress()


def _time(milliseconds: int | None) -> str:
    if not milliseconds:  # answers of one packet arrive together: their times are not to be told apart
        return ""
    return f"  {milliseconds} ms" if milliseconds < 10_000 else f"  {milliseconds / 1000:.0f} s"
