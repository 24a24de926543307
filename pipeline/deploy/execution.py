"""Carry out a run's steps, each kind by what runs it. After every fault the database is asked what is done, forward and back."""

from __future__ import annotations

from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING

from pipeline.deploy.concurrent.deciding import may_have_left
from pipeline.deploy.doubts import remedy_without_history
from pipeline.deploy.signals import RERUN, SignalReceived
from pipeline.deploy.steps import AppliedNow, Work
from pipeline.errors import DatabaseFailed, Interrupted, PipelineError
from pipeline.history import READ, parse_history
from pipeline.history.record import FLUSH
from pipeline.migrations.script import Kind
from pipeline.outcome import Outcome
from pipeline.postgres.session import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pipeline.deploy.locking import Opened
    from pipeline.deploy.observer import Observer
    from pipeline.deploy.steps import Step
    from pipeline.history.record import Author
    from pipeline.migrations import MigrationFile
    from pipeline.postgres.session import Session
    from pipeline.receipts.guard import Guard

_NOTHING: Mapping[str, Sequence[MigrationFile]] = MappingProxyType({})


def carry_out(
    steps: Sequence[Step],
    opened: Opened,
    author: Author,
    observer: Observer,
    *,
    reopen: Callable[[], Opened] | None = None,
    backfill_seconds: float | None = None,
    waits_for: Mapping[str, Sequence[MigrationFile]] = _NOTHING,
    guard: Guard | None = None,
) -> list[AppliedNow]:
    """Run steps of one direction in order; what was done.

    `reopen` gives another locked connection, on which is asked what is done when the first one is lost. `backfill_seconds` is
    how long each batched file may be worked on, None until it is done; `waits_for` are those that a step depends on. `guard` goes
    out before the first step, and may refuse it.

    Raises:
        Refused: the guard said no.
        InvalidPlan: a step depends on a backfill that is not complete; likewise.
        DatabaseFailed: a statement failed or the server was lost; the outcome says what is done.
        TimedOut: a step did not get a lock that it needs; likewise.
        Interrupted: a signal arrived; likewise.
    """
    done: list[AppliedNow] = []

    def count(migration: str, milliseconds: int | None) -> None:
        done.append(AppliedNow(migration, milliseconds))
        observer.applied(migration, milliseconds)

    unfinished = opened.history.unfinished
    work = Work(
        opened.session, author, observer, opened.notices, unfinished, count, backfill_seconds, guard, steps[0].id
    )
    try:
        for group in _groups(steps, waits_for):
            if awaited := waits_for.get(group[0].id):
                from pipeline.deploy.batched import require_complete

                require_complete(opened.session, group[0].file, awaited)
            _run(group[0].kind, work, group)
    except ConnectionLost as lost:
        return _after_loss(steps, done, lost, observer, reopen)
    except SignalReceived as signal:
        outcome = _outcome(steps, _ask(opened.session, steps, done), left=signal.left)
        raise Interrupted("interrupted", signal_number=signal.number, remedy=RERUN, outcome=outcome) from None
    except PipelineError as error:
        error.outcome = _outcome(steps, _ids(done))
        error.remedy = remedy_without_history(opened.history, error) or error.remedy
        raise
    return done


def _groups(steps: Sequence[Step], waits_for: Mapping[str, Sequence[MigrationFile]]) -> Iterator[list[Step]]:
    """Neighbours of one kind; one that waits for a backfill begins a group of its own."""
    waiting = 0

    def key(step: Step) -> tuple[Kind, int]:
        nonlocal waiting
        waiting += step.id in waits_for
        return step.kind, waiting

    return (list(group) for _, group in groupby(steps, key=key))


def _run(kind: Kind, work: Work, steps: Sequence[Step]) -> None:
    """Hand neighbours of one kind to what runs them, which a run without such steps does not import."""
    match kind:
        case Kind.TRANSACTIONAL:
            from pipeline.deploy.transactional import run_transactional

            run_transactional(work, steps)
        case Kind.CONCURRENT:
            from pipeline.deploy.concurrent import run_concurrent

            run_concurrent(work, steps)
        case Kind.BATCHED:
            from pipeline.deploy.batched import run_batched

            run_batched(work, steps)


def _after_loss(
    steps: Sequence[Step],
    done: list[AppliedNow],
    lost: ConnectionLost,
    observer: Observer,
    reopen: Callable[[], Opened] | None,
) -> list[AppliedNow]:
    """The answer was lost, not necessarily the work: ask on a new connection, once the old one's backend let go of the lock."""
    at_least = _outcome(steps, _ids(done), left=_worst(steps, done), at_least=True)
    if reopen is None:
        raise DatabaseFailed(lost.message, remedy=RERUN, outcome=at_least) from lost
    try:
        observer.note(f"{lost.message}; asking on a new connection what is applied")
        again = reopen()
        with again.session:
            applied = again.history.applied
            if applied:
                again.session.run(FLUSH)
            left = _look_after_loss(steps, again)
    except SignalReceived as signal:
        raise Interrupted(
            f"interrupted after {lost.message}", signal_number=signal.number, remedy=RERUN, outcome=at_least
        ) from lost
    except PipelineError as error:
        raise DatabaseFailed(
            f"{lost.message}, and no new one could be had to ask what is applied ({error.message})",
            remedy="Run it again when the server answers: it asks first, and goes on from there.",
            outcome=at_least,
        ) from lost
    if any(step.id not in applied for step in steps):
        raise DatabaseFailed(lost.message, remedy=RERUN, outcome=_outcome(steps, applied, left=left)) from lost
    for step in steps[len(done) :]:
        milliseconds = applied[step.id].duration_ms
        done.append(AppliedNow(step.id, milliseconds))
        observer.applied(step.id, milliseconds)
    return done


def _look_after_loss(steps: Sequence[Step], again: Opened) -> str | None:
    """What the step left that was at work, when it is a concurrent one; None for one in a transaction."""
    step = next((step for step in steps if step.id not in again.history.applied), None)
    if step is None or step.kind is not Kind.CONCURRENT:
        return None
    from pipeline.deploy.concurrent import look_after_loss

    return look_after_loss(again.session, step.file, again.history.unfinished.get(step.id))


def _ask(session: Session, steps: Sequence[Step], done: Sequence[AppliedNow]) -> set[str] | None:
    """The ids that are done now, or None when the session can no longer tell, or a second signal ends the wait.

    When the last query did not go out whole, they are those that were heard of.
    """
    if session.unsent:
        return _ids(done)
    try:
        if session.in_transaction:  # of the file that was cancelled
            session.run("ROLLBACK")
        applied = parse_history([result.rows for result in session.run(FLUSH + READ)[1:]]).applied
    except (PipelineError, SignalReceived):
        return None
    return {step.id for step in steps if (step.id in applied) != step.backward}


def _outcome(
    steps: Sequence[Step], done: Iterable[str] | None, *, left: str | None = None, at_least: bool = False
) -> Outcome:
    return Outcome(
        planned=tuple(step.id for step in steps),
        done=None if done is None else frozenset(done),
        concurrent=frozenset(step.id for step in steps if step.kind is Kind.CONCURRENT),
        left=left,
        at_least=at_least,
        backward=steps[0].backward,
    )


def _worst(steps: Sequence[Step], done: Sequence[AppliedNow]) -> str:
    """What the step may have left that was at work when the connection was lost."""
    concurrent = steps[len(done)].script.concurrent if len(done) < len(steps) else None
    return "" if concurrent is None else may_have_left(concurrent)


def _ids(done: Sequence[AppliedNow]) -> set[str]:
    return {each.id for each in done}
