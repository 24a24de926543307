"""Transactional files, many in one query: each commits by itself, and the server stops at the first that fails.

A commit waits until the disk has it, and with it all commits before. Among files that are answered together the last one's
wait is enough: the others do not wait, and are called applied when it is over.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from pipeline.deploy.failure import RETRY_FOR, TRY_AGAIN, Retries, explain_file, gave_up, lock_given_away
from pipeline.errors import DatabaseFailed
from pipeline.history.record import CLEAN, COMMIT_WITHOUT_WAITING, FLUSH, LOCK_LOST, apply_sql, rollback_sql
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipeline.deploy.notices import Notices
    from pipeline.deploy.steps import Step, Work
    from pipeline.history.record import Author
    from pipeline.postgres.session import Result

BATCH_BYTES = 1 << 20

_UNIQUE_VIOLATION = "23505"


# An announcement makes the server send what it has to say, and wait for the disk before it, which costs up to 0.5 ms: among
# a thousand files every twentieth says enough.
_ANNOUNCEMENTS = 50


@dataclass(frozen=True, slots=True)
class _Query:
    """A step's SQL to its COMMIT, which is not in it, and whether the server announces it."""

    step: Step
    sql: str
    announced: bool = True


def run_transactional(work: Work, steps: Sequence[Step], *, retry_for: float = RETRY_FOR) -> None:
    """Run the steps in order.

    Raises:
        Refused: the guard before the first step said no.
        MigrationFailed: a statement failed; the steps before it are committed, nothing of it is.
        TimedOut: a step did not get a lock that it needs, however often it was tried.
        ConnectionLost: the connection ended; what was committed last is not known.
    """
    session, notices = work.session, work.notices
    queries = _queries(steps, work.author)
    queries[0] = replace(queries[0], sql=work.guarded(steps[0], queries[0].sql))
    done = 0
    retries, refused = Retries(retry_for), -1
    while done < len(queries):
        batch = next(_batches(queries[done:]))
        tally = _Tally(batch, work.committed, notices, guarded=not done and work.guard is not None)
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
                raise work.refusal(error) or _failed(error, step) from error
            if refused != done:
                retries, refused = Retries(retry_for), done
            seconds = retries.next_pause()
            if seconds is None:
                raise gave_up(error, step.script.path, retry_for) from error
            work.observer.retrying(step.id, error.fields.get("message", ""), seconds)
            time.sleep(seconds)


def _queries(steps: Sequence[Step], author: Author) -> list[_Query]:
    """What is sent of each step; among many that are applied only some are announced."""
    stride = 1 + len(steps) // _ANNOUNCEMENTS
    return [_query(step, author, announced=step.backward or index % stride == 0) for index, step in enumerate(steps)]


def _query(step: Step, author: Author, *, announced: bool) -> _Query:
    if step.backward:
        return _Query(step, rollback_sql(step.file, step.script, author))
    return _Query(step, apply_sql(step.file, author, announced=announced), announced)


def _with_commits(batch: Sequence[_Query]) -> Iterator[str]:
    for query, durable in zip(batch, _durable(batch), strict=True):
        yield query.sql
        yield "COMMIT;" if durable else COMMIT_WITHOUT_WAITING


def _durable(batch: Sequence[_Query]) -> list[bool]:
    """Whose commits wait for the disk: the last one's, and those whose answers are sent at once, with what follows."""
    return [*(query.announced for query in batch[1:]), True]


class _Tally:
    """Counts the COMMITs of a batch as their answers arrive. A file's text cannot forge one: COMMIT is refused in it."""

    def __init__(
        self,
        batch: Sequence[_Query],
        committed: Callable[[str, int | None], None],
        notices: Notices,
        *,
        guarded: bool = False,
    ) -> None:
        self.commits = 0
        self._batch = batch
        self._durable = _durable(batch)
        self._committed = committed
        self._notices = notices
        self._since = time.monotonic()
        self._guarded = guarded  # until the BEGIN of the first file, whose time begins there
        self._untold: list[tuple[str, int]] = []

    def __call__(self, result: Result) -> None:
        if result.command == "BEGIN" and self._guarded:
            self._since, self._guarded = time.monotonic(), False
        if result.command != "COMMIT":
            return
        self._notices.end_of_file()
        now = time.monotonic()
        self._untold.append((self._batch[self.commits].step.id, round((now - self._since) * 1000)))
        self._since = now
        self.commits += 1
        if self._durable[self.commits - 1]:
            self.tell()

    def tell(self) -> None:
        """Tell of what was answered: it is on the disk now."""
        while self._untold:
            self._committed(*self._untold.pop(0))


def _batches(queries: Sequence[_Query]) -> Iterator[Sequence[_Query]]:
    """The longest runs of queries that are at most BATCH_BYTES; one that is larger alone goes alone."""
    start = size = 0
    for index, query in enumerate(queries):
        bytes_ = len(query.sql.encode())
        size += bytes_
        if size > BATCH_BYTES and index > start:
            yield queries[start:index]
            start, size = index, bytes_
    yield queries[start:]


def _failed(error: ServerError, step: Step) -> DatabaseFailed:
    if error.sqlstate == _UNIQUE_VIOLATION and "_yoyo_migration_pkey" in error.message:
        return DatabaseFailed(
            f"{step.id} is recorded already, by its hash: by somebody else during this run, or in a row with another id",
            remedy="Is stock yoyo, or a file that gives locks away, at work on the same database? Run it again. If it stays, "
            "look: SELECT * FROM migration_history._yoyo_migration "
            f"WHERE migration_hash = '{sha256(step.id.encode()).hexdigest()}'",
        )
    return explain_file(error, step.script)
