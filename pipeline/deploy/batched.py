"""Batched files in a deploy: recorded when their turn comes, and worked on for a while. What is left goes on by itself.

Whoever depends on one is refused until nothing is left.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pipeline.backfill import count_remaining
from pipeline.backfill.keys import read_key
from pipeline.backfill.working import Worker, estimate
from pipeline.deploy.failure import lock_given_away
from pipeline.deploy.steps import Step
from pipeline.errors import InvalidPlan, MigrationFailed, TimedOut
from pipeline.history.backfills import ABORTED, PAUSED, REGISTERED, read_backfills, registration_sql
from pipeline.history.record import CLEAN, LOCK_LOST, registered_sql
from pipeline.postgres.lock import BACKFILL_KEY, find_holder
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.deploy.steps import Work
    from pipeline.history.backfills import Backfill
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.batched import Batched
    from pipeline.postgres.session import Session

_WAIT = 600.0  # seconds for another one that works on backfills, where these have to be finished
_POLL = 0.2


def run_batched(work: Work, steps: Sequence[Step]) -> None:
    """Register each step's backfill, and go on with it for as long as the run may.

    Raises:
        Refused: the guard before the first step said no.
        MigrationFileError: its key is none; nothing of it is recorded.
        MigrationFailed: a batch failed; the file is recorded, and the batches before stand.
        InvalidPlan: it does not come to an end; likewise.
        ConnectionLost: the connection ended; the backfill goes on from its last batch.
    """
    for step in steps:
        work.observer.running(step.id)
        batched = batched_of(step.file)
        _register(work, step, batched)
        work.committed(step.id, None)
        if work.backfill_seconds == 0:
            work.observer.note(f"{step.id} is registered: `./inv backfill` begins with it")
        elif _has_its_turn(work, step):
            _work(work, step, batched)


def finish(work: Work, files: Sequence[MigrationFile]) -> None:
    """Go on with those of the files that are registered, until nothing is left. Raises what `run_batched` raises."""
    known = {each.id: each for each in read_backfills(work.session)}
    for file in files:
        if file.id in known and known[file.id].state == REGISTERED:
            step = Step(file, file.forward)
            work.observer.running(step.id)
            if _has_its_turn(work, step):
                _work(work, step, batched_of(file))


def require_complete(session: Session, file: MigrationFile, awaited: Sequence[MigrationFile]) -> None:
    """Refuse a file that depends on backfills of which one is not complete.

    One that nobody registered, since `baseline` or stock yoyo recorded it, is complete when nothing is left to do.

    Raises:
        InvalidPlan: one is not; the message has its percentage.
    """
    found = {each.id: each for each in read_backfills(session)}
    for each in awaited:
        known = found.get(each.id)
        if known is None:
            left = count_remaining(session, each, batched_of(each))
            if left:
                raise InvalidPlan(
                    f"it depends on {each.id}, which is recorded here, and {left} rows of it are left",
                    where=file.path,
                    remedy="It was recorded without being run. Do what it does by hand, then deploy again.",
                )
        elif not known.is_complete:
            raise InvalidPlan(
                f"it depends on {each.id}, whose backfill is {known.percent} % done{_how(known)}",
                where=file.path,
                remedy=f"`./inv backfill --env …{' --resume' if known.state in {PAUSED, ABORTED} else ''}` goes on with it. "
                "Deploy again when it is complete.",
            )


def batched_of(file: MigrationFile) -> Batched:
    """The statement of a file that runs batch by batch."""
    if file.forward.batched is None:
        raise ValueError(f"{file.path} is not batched")
    return file.forward.batched


def _how(known: Backfill) -> str:
    return f" and {known.state}" if known.state in {PAUSED, ABORTED} else ""


def _register(work: Work, step: Step, batched: Batched) -> None:
    session = work.session
    read_key(session, step.file, batched)
    registered = registered_sql(step.file, work.author, registration_sql(step.file, estimate(session, batched)))
    try:
        session.run(work.guarded(step, registered))
    except ServerError as error:
        session.run("ROLLBACK")
        if error.sqlstate == LOCK_LOST:
            raise lock_given_away(session, step.file.path) from error
        if refusal := work.refusal(error):
            raise refusal from error
        raise MigrationFailed(f"its backfill could not be registered: {error.message}", where=step.file.path) from error


def _has_its_turn(work: Work, step: Step) -> bool:
    """Whether the lock of those who work on backfills could be got: whoever has it goes on with this one, too."""
    began = time.monotonic()
    while work.session.run(f"SELECT pg_catalog.pg_try_advisory_lock({BACKFILL_KEY})")[0].rows[0][0] != "t":
        holder = find_holder(work.session, BACKFILL_KEY) or "another session"
        if work.backfill_seconds is not None:
            work.observer.note(f"{step.id} is registered; {holder} is at work on backfills, and comes to it")
            return False
        if time.monotonic() - began > _WAIT:
            raise TimedOut(
                f"{holder} works on backfills, and did not end within {_WAIT:.0f} s",
                where=step.file.path,
                remedy="It is registered: `./inv backfill` goes on with it.",
            )
        time.sleep(_POLL)
    return True


def _work(work: Work, step: Step, batched: Batched) -> None:
    seconds = work.backfill_seconds
    until = None if seconds is None else time.monotonic() + seconds
    stand = Worker(work.session, step.file, batched, until=until, told=work.observer.backfilling).work()
    work.session.run(CLEAN)  # which gives the lock of backfills back, too
    if not stand.backfill.is_complete:
        work.observer.note(
            f"{step.id} is registered and {stand.backfill.percent} % done: `./inv backfill` goes on with it, and files that do "
            "not depend on it do not wait"
        )
