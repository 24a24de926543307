"""Transactional files, many in one query: each commits by itself, and the server stops at the first that fails.

A commit waits until the disk has it, and with it all commits before. Among files that are answered together the last one's
wait is enough: the others do not wait, and are called applied when it is over.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from pipeline.deploy.failure import explain_file, gave_up, lock_given_away
from pipeline.deploy.retrying import RETRY_FOR, TRY_AGAIN, Retries
from pipeline.errors import DatabaseFailed
from pipeline.history.record import CLEAN, COMMIT_WITHOUT_WAITING, FLUSH, LOCK_LOST, apply_sql, rollback_sql
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipeline.deploy.notices import Notices
    from pipeline.deploy.observer import Observer
    from pipeline.history.record import Author
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.script import Script
    from pipeline.postgres.session import Result, Session

BATCH_BYTES = 1 << 20

_UNIQUE_VIOLATION = "23505"


# An announcement makes the server send what it has to say, and wait for the disk before it, which costs up to 0.5 ms: among
# a thousand files every twentieth says enough.
_ANNOUNCEMENTS = 50


@dataclass(frozen=True)
class Step:
    """One file in one direction."""

    id: str
    script: Script
    sql: str  # to its COMMIT, which is not in it
    announced: bool = True

    @classmethod
    def forward(cls, file: MigrationFile, author: Author, *, announced: bool = True) -> Step:
        """The step that applies a file."""
        return cls(file.id, file.forward, apply_sql(file, author, announced=announced), announced)

    @classmethod
    def backward(cls, file: MigrationFile, script: Script, author: Author) -> Step:
        """The step that rolls a file back."""
        return cls(file.id, script, rollback_sql(file, script, author))


def steps_forward(files: Sequence[MigrationFile], author: Author) -> list[Step]:
    """The steps that apply these files; among many only some are announced."""
    stride = 1 + len(files) // _ANNOUNCEMENTS
    return [Step.forward(file, author, announced=index % stride == 0) for index, file in enumerate(files)]


def run_transactional(
    session: Session,
    steps: Sequence[Step],
    observer: Observer,
    committed: Callable[[str, int | None], None],
    notices: Notices,
    *,
    retry_for: float = RETRY_FOR,
) -> None:
    """Run the steps in order. `committed` is told of each one and of its milliseconds once its COMMIT is on the disk.

    Raises:
        MigrationFailed: a statement failed; the steps before it are committed, nothing of it is.
        TimedOut: a step did not get a lock that it needs, however often it was tried.
        ConnectionLost: the connection ended; what was committed last is not known.
    """
    done = 0
    retries, refused = Retries(retry_for), -1
    while done < len(steps):
        batch = next(_batches(steps[done:]))
        tally = _Tally(batch, committed, notices)
        try:
            session.run("".join(_with_commits(batch)), tally)
            done += len(batch)
        except ServerError as error:
            notices.end_of_file()
            done += tally.commits
            # what was prepared stays prepared in a transaction that is undone
            session.run(("ROLLBACK;" if session.in_transaction else "") + CLEAN + FLUSH)
            tally.tell()
            step = steps[done] if done < len(steps) else steps[-1]
            if error.sqlstate == LOCK_LOST:
                raise lock_given_away(session, step.script.path) from error
            if error.sqlstate not in TRY_AGAIN:
                raise _failed(error, step) from error
            if refused != done:
                retries, refused = Retries(retry_for), done
            seconds = retries.next_pause()
            if seconds is None:
                raise gave_up(error, step.script.path, retry_for) from error
            observer.retrying(step.id, error.fields.get("message", ""), seconds)
            time.sleep(seconds)


def _with_commits(batch: Sequence[Step]) -> Iterator[str]:
    for step, durable in zip(batch, _durable(batch), strict=True):
        yield step.sql
        yield "COMMIT;" if durable else COMMIT_WITHOUT_WAITING


def _durable(batch: Sequence[Step]) -> list[bool]:
    """Whose commits wait for the disk: the last one's, and those whose answers are sent at once, with what follows."""
    return [*(step.announced for step in batch[1:]), True]


class _Tally:
    """Counts the COMMITs of a batch as their answers arrive. A file's text cannot forge one: COMMIT is refused in it."""

    def __init__(self, batch: Sequence[Step], committed: Callable[[str, int | None], None], notices: Notices) -> None:
        self.commits = 0
        self._batch = batch
        self._durable = _durable(batch)
        self._committed = committed
        self._notices = notices
        self._since = time.monotonic()
        self._untold: list[tuple[str, int]] = []

    def __call__(self, result: Result) -> None:
        if result.command != "COMMIT":
            return
        self._notices.end_of_file()
        now = time.monotonic()
        self._untold.append((self._batch[self.commits].id, round((now - self._since) * 1000)))
        self._since = now
        self.commits += 1
        if self._durable[self.commits - 1]:
            self.tell()

    def tell(self) -> None:
        """Tell of what was answered: it is on the disk now."""
        while self._untold:
            self._committed(*self._untold.pop(0))


def _batches(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    """The longest runs of steps that are at most BATCH_BYTES; a step that is larger alone goes alone."""
    start = size = 0
    for index, step in enumerate(steps):
        bytes_ = len(step.sql.encode())
        size += bytes_
        if size > BATCH_BYTES and index > start:
            yield steps[start:index]
            start, size = index, bytes_
    yield steps[start:]


def _failed(error: ServerError, step: Step) -> DatabaseFailed:
    if error.sqlstate == _UNIQUE_VIOLATION and "_yoyo_migration_pkey" in error.message:
        return DatabaseFailed(
            f"{step.id} is recorded already, by its hash: by somebody else during this run, or in a row with another id",
            remedy="Is stock yoyo, or a file that gives locks away, at work on the same database? Run it again. If it stays, "
            "look: SELECT * FROM migration_history._yoyo_migration "
            f"WHERE migration_hash = '{sha256(step.id.encode()).hexdigest()}'",
        )
    return explain_file(error, step.script)
