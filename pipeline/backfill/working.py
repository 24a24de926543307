"""Batch after batch until nothing is left: what `remaining` counts at the end of a pass says so, and not the position.

Rows that somebody adds behind the position are found by the next pass. Where passes do not come to an end, whoever writes them
does not do what the statement does: the trigger of the expand step is missing.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.backfill import count_remaining
from pipeline.backfill.batch import batch_sql, parse_batch
from pipeline.backfill.keys import read_key
from pipeline.backfill.pausing import Limits, Pace, look_sql, looked, why_to_wait
from pipeline.errors import InvalidPlan, MigrationFailed
from pipeline.history.backfills import (
    REGISTERED,
    Backfill,
    complete_sql,
    next_pass_sql,
    parse_backfill,
    refused_sql,
    stand_sql,
    why_sql,
)
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.backfill.keys import Key
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.batched import Batched
    from pipeline.postgres.session import Session

PASSES = 5  # over all keys, the first one included
_LOOK_EVERY = 0.5  # seconds
_REST = 2.0  # seconds between two looks at what is waited for
_FIRST_RETRY, _LONGEST_RETRY = 0.02, 5.0  # seconds behind a lock that was not to be had
# lock_not_available, deadlock_detected, serialization_failure
_TRY_AGAIN = frozenset({"55P03", "40P01", "40001"})


@dataclass(frozen=True, slots=True)
class Stand:
    """How a backfill stands: what the database has, with what the run that works on it knows.

    `seconds` is when it will be over, from now, as far as that can be told; `why` what it waits for, or empty.
    """

    backfill: Backfill
    rows_per_second: float | None = None
    seconds: float | None = None
    why: str = ""


@dataclass
class Worker:
    """What works on one backfill, over one session. `told` hears of each batch that is committed, and of each wait."""

    session: Session
    file: MigrationFile
    batched: Batched
    limits: Limits = Limits()  # noqa: RUF009 - a frozen value
    until: float | None = None  # by time.monotonic()
    told: Callable[[Stand], None] = lambda _: None

    def work(self) -> Stand:
        """Go on until nothing is left, or `until`, or the WAL of the run is used up, or somebody says to stop.

        Raises:
            MigrationFileError: the key is none.
            MigrationFailed: the statement, or the query of what is left, failed; the batches before it stand.
            InvalidPlan: rows are left that the statement does not do, or that somebody keeps adding.
            ConnectionLost: the connection ended; what was committed stands.
        """
        run = _Run(self, read_key(self.session, self.file, self.batched))
        stand = run.first_look()
        while stand.backfill.state == REGISTERED and not run.is_out_of_budget():
            stand = run.one_batch()
        return stand


class _Run:
    def __init__(self, worker: Worker, key: Key) -> None:
        self._worker = worker
        self._session = worker.session
        self._file = worker.file
        self._batched = worker.batched
        self._key = key
        self._pace = Pace(worker.limits)
        self._retry = _FIRST_RETRY
        self._looked_at = 0.0
        self._began = time.monotonic()
        self._visited = 0

    def is_out_of_budget(self) -> bool:
        until = self._worker.until
        return self._pace.is_used_up or (until is not None and time.monotonic() >= until)

    def first_look(self) -> Stand:
        """What has to be waited for before the first batch."""
        results = self._session.run(f"{stand_sql(self._file)};{look_sql(self._batched)}")
        self._looked_at = time.monotonic()
        rows = results[0].rows
        stand = self._stand(parse_backfill(rows[0]) if rows else Backfill(self._file.id, state="gone"))
        return self._wait_for(why_to_wait(results[1]), stand)

    def one_batch(self) -> Stand:
        """A batch, what has to be waited for behind it, and at the end of a pass the count of what is left."""
        target, until = self._pace.target, self._worker.until
        if until is not None:
            target = min(target, 1000 * max(0.0, until - time.monotonic()))
        sql = batch_sql(self._file, self._batched, self._key, target=target, wal_bytes=self._pace.wal_bytes)
        look = time.monotonic() - self._looked_at >= _LOOK_EVERY
        try:
            results, seen = looked(self._session.run(sql + (look_sql(self._batched) if look else "")))
        except ServerError as error:
            return self._refused(error)
        self._retry = _FIRST_RETRY
        batch = parse_batch(results)
        backfill = parse_backfill(results[-2].rows[0]) if results[-2].rows else Backfill(self._file.id, state="gone")
        if batch.is_over:
            return self._stand(backfill)
        self._visited += batch.visited
        if batch.at_end:
            return self._end_of_pass(backfill, batch.changed)
        rest, why = self._pace.after(batch)
        stand = self._tell(backfill, why if batch.blocked or rest > _LOOK_EVERY else "")
        self._sleep(rest)
        if seen is not None:
            self._looked_at = time.monotonic()
            stand = self._wait_for(why_to_wait(seen), stand)
        return stand

    def _wait_for(self, why: str, stand: Stand) -> Stand:
        """Look again and again while something is to be waited for; what is waited for is kept for who looks."""
        while why and not self.is_out_of_budget():
            stand = self._tell(stand.backfill, why)
            self._sleep(_REST)
            results = self._session.run(f"{why_sql(self._file, why)};{stand_sql(self._file)};{look_sql(self._batched)}")
            backfill = parse_backfill(results[-2].rows[0]) if results[-2].rows else stand.backfill
            stand = replace(stand, backfill=backfill)
            if backfill.state != REGISTERED:
                return stand
            why = why_to_wait(results[-1])
        return stand

    def _refused(self, error: ServerError) -> Stand:
        """A lock was not to be had: what a short batch would do is tried again and again, and the longer the rarer."""
        if self._session.in_transaction:
            self._session.run("ROLLBACK")
        if error.sqlstate not in _TRY_AGAIN:
            raise self._failed(error) from error
        self._pace.slow_down()
        self._retry = min(self._retry * 2, _LONGEST_RETRY)
        why = "a row, or the table, is locked by somebody else"
        results = self._session.run(f"{refused_sql(self._file, why)};{stand_sql(self._file)}")
        rows = results[-1].rows
        stand = self._tell(parse_backfill(rows[0]) if rows else Backfill(self._file.id, state="gone"), why)
        self._sleep(random.uniform(self._retry / 2, self._retry))  # noqa: S311 - jitter, not a secret
        return stand

    def _end_of_pass(self, backfill: Backfill, changed: int) -> Stand:
        left = count_remaining(self._session, self._file, self._batched)
        if left == 0:
            # synchronously: what is called complete is on the disk
            results = self._session.run(f"{complete_sql(self._file)};{stand_sql(self._file)}")
            return self._tell(parse_backfill(results[-1].rows[0]), "")
        if backfill.pass_ >= PASSES:
            self._again(left, pass_=1)
            raise self._without_end(left, reached=changed > 0)
        return self._tell(self._again(left, pass_=backfill.pass_ + 1), "")

    def _again(self, left: int, *, pass_: int) -> Backfill:
        sql = next_pass_sql(self._file, left, pass_=pass_, estimated=estimate(self._session, self._batched))
        return parse_backfill(self._session.run(f"{sql};{stand_sql(self._file)}")[-1].rows[0])

    def _without_end(self, left: int, *, reached: bool) -> InvalidPlan:
        if reached:
            what = f"{left} rows are left after {PASSES} passes over all of them: somebody keeps adding rows that are not done"
            remedy = (
                "Whoever writes has to do what it does: make the trigger of the expand step first, in a file before this one "
                "(docs/expand-contract.md). Then `./inv backfill` goes on."
            )
        else:
            what = f"`-- remaining:` counts {left} rows after {PASSES} passes, and the statement changes none of them"
            remedy = "The condition of the statement and that of `-- remaining:` have to mean the same rows."
        return InvalidPlan(what, where=f"{self._file.path}:{self._batched.line}", remedy=remedy)

    def _failed(self, error: ServerError) -> MigrationFailed:
        return MigrationFailed(
            error.message,
            where=f"{self._file.path}:{self._batched.line}",
            remedy="The batches before it stand. Put right what it stumbled over; `./inv backfill` goes on from there.",
        )

    def _tell(self, backfill: Backfill, why: str) -> Stand:
        stand = self._stand(backfill, why)
        self._worker.told(stand)
        return stand

    def _stand(self, backfill: Backfill, why: str = "") -> Stand:
        """With the speed since this run began, its pauses included."""
        passed = time.monotonic() - self._began
        rate = self._visited / passed if passed > 0 and self._visited else None
        return Stand(backfill, rate, backfill.left / rate if rate else None, why)

    def _sleep(self, seconds: float) -> None:
        until = self._worker.until
        left = seconds if until is None else min(seconds, until - time.monotonic())
        if left > 0:
            time.sleep(left)


def estimate(session: Session, batched: Batched) -> int:
    """How many rows the table has, as the planner has it."""
    plan = session.run(f"EXPLAIN (FORMAT JSON) SELECT FROM {batched.table}")[0].rows
    rows = json.loads("".join(row[0] or "" for row in plan))[0]["Plan"]["Plan Rows"]
    return int(rows)
