"""Act: a log row that the file was started, its statement, and its record.

A crash may leave the statement undone, half done or done. The next run looks at what is there, and goes on only where it
can prove that this pipeline left it; anything else stops with what to look at.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pipeline.deploy.concurrent.deciding import (
    Begun,
    drop_sql,
    is_ours,
    limits_sql,
    may_have_left,
    require_built,
    resume,
    to_drop,
    what_is_left,
)
from pipeline.deploy.concurrent.observing import existed_sql, observe
from pipeline.deploy.failure import RETRY_FOR, TRY_AGAIN, Retries, explain_file, gave_up, lock_given_away
from pipeline.deploy.signals import SignalReceived
from pipeline.errors import DatabaseFailed, PipelineError, TimedOut
from pipeline.history import parse_comment
from pipeline.history.record import CLEAN, mark_sql, started_sql, unmark_sql
from pipeline.postgres.lock import TRY
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.deploy.concurrent.observing import IndexState
    from pipeline.deploy.observer import Observer
    from pipeline.deploy.steps import Step, Work
    from pipeline.history import Unfinished
    from pipeline.history.record import Author
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.concurrent import Concurrent
    from pipeline.migrations.script import Script
    from pipeline.postgres.session import Session

AFTER_ERROR = 30.0  # seconds for what a failed statement left: whoever holds the drop up may hold it up for hours
AFTER_SIGNAL = 3.0  # seconds: who sends SIGTERM sends SIGKILL soon, and until then the message has to be out

_LOCK_NOT_AVAILABLE = "55P03"
_WAITED_TOO_SHORT = "Find what holds the lock (pg_stat_activity: long transactions), or give it a longer lock-timeout."


def run_concurrent(work: Work, steps: Sequence[Step]) -> None:
    """Run each step's statement and record it, or take its record away.

    Raises:
        Refused: the guard before the first step said no.
        MigrationFailed: the statement failed; the message says what it left.
        TimedOut: it did not get a lock within the file's own lock-timeout, or for two minutes where readers would wait behind it.
        DatabaseFailed: something is there that this pipeline cannot prove to be its own.
        ConnectionLost: the connection ended; the next run finds out how far it came.
        SignalReceived: `left` says what it left.
    """
    for step in steps:
        work.observer.running(step.id)
        milliseconds = None
        if step.backward:
            _undo(work, step)
        else:
            milliseconds = _apply(work, step)
        work.committed(step.id, milliseconds)


def _apply(work: Work, step: Step) -> int:
    """Run a file's statement and record it; the statement's time in milliseconds."""
    session, file, script = work.session, step.file, step.script
    concurrent = concurrent_of(script)
    _hold_the_lock(work, step)
    lsn = ""
    if (unfinished := work.unfinished.get(file.id)) is not None:
        lsn = unfinished.lsn
        begun = Begun(unfinished.existed, edited=unfinished.checksum != file.checksum)
        ours = is_ours(concurrent, begun.existed) and not begun.edited
        if _resume(work, script, begun, limits_sql(script, unlimited=True), ours=ours):
            session.run(mark_sql(file, work.author, lsn=lsn) + CLEAN)
            return 0
    notes = _start(session, file, work.author, concurrent)
    ours = is_ours(concurrent, notes.get("existed", ""))
    milliseconds = execute(session, file.id, script, work.observer, ours=ours)
    if concurrent.kind == "create index":
        _require_built(session, file.path, concurrent, is_new=not concurrent.if_not_exists)
    session.run(mark_sql(file, work.author, milliseconds=milliseconds, lsn=notes.get("lsn", lsn)) + CLEAN)
    return milliseconds


def _undo(work: Work, step: Step) -> None:
    """Run a rollback file's statement and take the file's record away.

    It works on local databases only, where whatever is half done and as the rollback file would make it is taken for what
    an earlier try left.
    """
    begun = Begun.by_a_rollback(concurrent_of(step.script))
    if not _resume(work, step.script, begun, limits_sql(step.script), ours=True):
        execute(work.session, step.id, step.script, work.observer, ours=True)
    work.session.run(unmark_sql(step.file, work.author) + CLEAN)


def look_after_loss(session: Session, file: MigrationFile, unfinished: Unfinished | None) -> str:
    """What a file left whose connection was lost, asked on another one; "" for nothing.

    What is proven to be its own is taken away, within AFTER_ERROR seconds.
    """
    if unfinished is None or unfinished.checksum != file.checksum:  # it had not begun
        return ""
    concurrent = concurrent_of(file.forward)
    ours = is_ours(concurrent, unfinished.existed)
    try:
        if ours and concurrent.kind == "create index":
            ours = observe(session, concurrent, compare=True).as_written
    except PipelineError:
        return may_have_left(concurrent)
    return tidy(session, concurrent, ours=ours, seconds=AFTER_ERROR)


def execute(
    session: Session, id_: str, script: Script, observer: Observer, *, ours: bool, retry_for: float = RETRY_FOR
) -> int:
    """Run the statement of a migration's file, within the session's limits; its time in milliseconds.

    `ours`: what it leaves when it does not end may be dropped at once.

    Raises:
        MigrationFailed: it failed; the message says what it left.
        TimedOut: it did not get a lock in time; likewise.
        ConnectionLost: the connection ended.
        SignalReceived: it was cancelled; `left` says what it left.
    """
    concurrent = concurrent_of(script)
    retries: Retries | None = None
    while True:
        started = time.monotonic()
        try:
            with _tidied_after_signal(session, concurrent, observer, ours=ours, attempt=ours):
                session.run(concurrent.sql)
            return round((time.monotonic() - started) * 1000)
        except ServerError as error:
            if not concurrent.exclusive or error.sqlstate not in TRY_AGAIN:
                raise _failed(session, script, concurrent, error, observer, ours=ours) from error
            retries = retries or Retries(retry_for)
            seconds = retries.next_pause()
            if seconds is None:
                raise gave_up(error, script.path, retry_for) from error
            observer.retrying(id_, error.fields.get("message", ""), seconds)
        time.sleep(seconds)


def concurrent_of(script: Script) -> Concurrent:
    """The statement of a file that runs outside a transaction."""
    if script.concurrent is None:
        raise ValueError(f"{script.path} is transactional")
    return script.concurrent


def tidy(session: Session, concurrent: Concurrent, *, ours: bool, seconds: float) -> str:
    """Drop what the statement left, if it is `ours`, within about so many seconds; what is left then, or "" for nothing.

    With no seconds nothing is tried. What is not ours was there before, and is named too: it stops the next run.
    """
    try:
        found = observe(session, concurrent)
        if ours and seconds and (left := to_drop(concurrent, found)):
            _drop(session, left, seconds)
            found = observe(session, concurrent)  # a drop that came half-way has ended an index's enforcement
        return what_is_left(concurrent, found, ours=ours)
    except PipelineError:  # the session cannot be asked any more
        return may_have_left(concurrent)


def _hold_the_lock(work: Work, step: Step) -> None:
    """Make sure of the lock once more: a statement outside a transaction may have given it away, in an index's function.

    A rival could take the index that we build for one that a killed run left, and drop it. The guard of a first step is asked
    in the same query.
    """
    retries = Retries(RETRY_FOR)
    while True:
        try:
            locked = work.session.run(work.guarded(step, f"SELECT {TRY}"))[-1].rows[0][0]
            break
        except ServerError as error:
            if refusal := work.refusal(error):
                raise refusal from error
            seconds = retries.next_pause()
            if error.sqlstate not in TRY_AGAIN or seconds is None:
                raise explain_file(error, step.script) from error
            work.observer.retrying(step.id, error.fields.get("message", ""), seconds)
        time.sleep(seconds)
    if locked != "t":
        raise lock_given_away(work.session, step.file.path)


def _resume(work: Work, script: Script, begun: Begun, limits: str, *, ours: bool) -> bool:
    """Finish, or take away, what an earlier run left; whether the statement's effect is there now."""
    session, concurrent = work.session, concurrent_of(script)
    with _tidied_after_signal(session, concurrent, work.observer, ours=ours, attempt=False):
        session.run(limits)
        decision = resume(concurrent, begun, observe(session, concurrent, compare=True), script.path)
        for sql in decision.first:
            session.run(sql)
    return decision.done


def _start(session: Session, file: MigrationFile, author: Author, concurrent: Concurrent) -> dict[str, str]:
    """Log the start, with what is there already, and set the session's limits; the log row's notes."""
    results = session.run(f"{started_sql(file, author, existed_sql(concurrent))};{limits_sql(file.forward)}")
    notes = parse_comment(results[0].rows[0][0] or "")
    if notes.get("existed") and concurrent.kind.startswith("reindex"):
        raise DatabaseFailed(
            f"{concurrent.name} has leftovers of another REINDEX: {notes['existed']}",
            where=file.path,
            remedy="Look at them (\\d in psql). Drop those that are INVALID with DROP INDEX CONCURRENTLY, then run it again.",
        )
    if notes.get("existed") and concurrent.if_not_exists:
        # It would take whatever has the name, an INVALID index too.
        _require_built(session, file.path, concurrent, is_new=False)
    return notes


def _require_built(session: Session, path: str, concurrent: Concurrent, *, is_new: bool) -> None:
    require_built(concurrent, observe(session, concurrent, compare=not is_new), path, is_new=is_new)


@contextmanager
def _tidied_after_signal(
    session: Session, concurrent: Concurrent, observer: Observer, *, ours: bool, attempt: bool
) -> Iterator[None]:
    """On a signal put what is left on it, for the report, after an `attempt` to drop it. A second signal ends the try.

    Raises:
        SignalReceived: the first signal, or the second one.
    """
    try:
        yield
    except SignalReceived as received:
        try:
            if attempt and may_have_left(concurrent):
                observer.note(f"interrupted: looking for what the statement left, for {AFTER_SIGNAL:.0f} s at most")
            received.left = tidy(session, concurrent, ours=ours, seconds=AFTER_SIGNAL if attempt else 0.0)
        except SignalReceived as second:
            second.left = may_have_left(concurrent)
            raise second from None
        raise


def _drop(session: Session, left: tuple[IndexState, ...], seconds: float) -> None:
    """Drop INVALID indexes one by one, within so many seconds in all."""
    deadline = time.monotonic() + seconds
    for index in left:
        with suppress(ServerError):
            # never 0, which would be no limit
            session.run(f"SET statement_timeout = {max(1, round((deadline - time.monotonic()) * 1000))}")
            session.run(drop_sql(index))
    session.run(f"SET statement_timeout = {round(AFTER_SIGNAL * 1000)}")  # for the look at what is left


def _failed(
    session: Session, script: Script, concurrent: Concurrent, error: ServerError, observer: Observer, *, ours: bool
) -> PipelineError:
    """The statement's error, with what it left: an INVALID unique index still refuses rows, so a drop is tried at once."""
    failure: PipelineError = explain_file(error, script)
    if error.sqlstate == _LOCK_NOT_AVAILABLE:
        failure = TimedOut(failure.message, where=script.path, remedy=_WAITED_TOO_SHORT)
    with _tidied_after_signal(session, concurrent, observer, ours=ours, attempt=False):
        left = tidy(session, concurrent, ours=ours, seconds=AFTER_ERROR)
    if not left:
        return failure
    remedy = "Run it again." if ours or concurrent.kind == "drop index" else "End that first, then run it again."
    if ours and concurrent.kind != "detach partition":
        remedy += " To edit the file instead, DROP INDEX CONCURRENTLY what is left first."
    return type(failure)(f"{failure.message}\n{left}", where=failure.where, remedy=remedy)
