"""What a statement outside a transaction left when it did not end: taken away within a limit, and told in any case.

An INVALID unique index refuses rows although no query uses it, so nobody may go home without knowing its name.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pipeline.deploy.leftovers import Index, find_index, partition_state, reindex_leftovers, toast_leftovers
from pipeline.deploy.signals import SignalReceived
from pipeline.errors import PipelineError
from pipeline.postgres.quoting import literal
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from pipeline.deploy.observer import Observer
    from pipeline.migrations.concurrent import Concurrent
    from pipeline.postgres.session import Session

AFTER_ERROR = 30.0  # seconds for what a failed statement left: whoever holds the drop up may hold it up for hours
AFTER_SIGNAL = 3.0  # seconds: who sends SIGTERM sends SIGKILL soon, and until then the message has to be out

_THEN = "The next run drops it and builds it again"
_NOT_OURS = "It was there before the file began, so no run takes it away"


def tidy(session: Session, concurrent: Concurrent, *, ours: bool, seconds: float) -> str:
    """Drop what the statement left, if it is `ours`, within about so many seconds; what is left then, or "" for nothing.

    With no seconds nothing is tried. What is not ours was there before, and is named too: it stops the next run.
    """
    try:
        return _tidy(session, concurrent, ours=ours, seconds=seconds)
    except PipelineError:  # the session cannot be asked any more
        return may_have_left(concurrent)


def tidy_after_signal(
    session: Session,
    concurrent: Concurrent,
    received: SignalReceived,
    observer: Observer,
    *,
    ours: bool,
    attempt: bool = True,
) -> None:
    """Likewise, if it may `attempt` it, and put what is left on the signal, for the report. A second signal ends the try.

    Raises:
        SignalReceived: the second one.
    """
    try:
        attempt = attempt and ours
        if attempt and may_have_left(concurrent):
            observer.note(f"interrupted: looking for what the statement left, for {AFTER_SIGNAL:.0f} s at most")
        received.left = tidy(session, concurrent, ours=ours, seconds=AFTER_SIGNAL if attempt else 0.0)
    except SignalReceived as second:
        second.left = may_have_left(concurrent)
        raise second from None


def may_have_left(concurrent: Concurrent) -> str:
    """What the statement leaves in the worst case, for when nobody can look any more; "" where it leaves nothing."""
    name = concurrent.name
    if concurrent.kind == "create index":
        enforced = ", and is enforced: it refuses rows" if concurrent.unique else ""
        return (
            f"It may have left the index {name}, which is INVALID then{enforced}. {_THEN}; "
            f"by hand: DROP INDEX CONCURRENTLY {name};"
        )
    if concurrent.kind == "drop index":
        return f"The index {name} may be INVALID now. The next run drops what is left; by hand: DROP INDEX CONCURRENTLY {name};"
    if concurrent.kind.startswith("reindex"):
        return (
            f"It may have left INVALID copies of indexes of {name}, named …_ccnew or …_ccold. The next run drops them; by hand: "
            "DROP INDEX CONCURRENTLY name;"
        )
    if concurrent.kind == "detach partition":
        return f"The partition {concurrent.name} may be half detached. {_finalize_hint(concurrent)}"
    return ""


def finalize_sql(concurrent: Concurrent) -> str:
    """What ends a DETACH PARTITION … CONCURRENTLY that was cut off."""
    return f"ALTER TABLE {concurrent.table} DETACH PARTITION {concurrent.name} FINALIZE"


def _tidy(session: Session, concurrent: Concurrent, *, ours: bool, seconds: float) -> str:
    if concurrent.kind == "create index":
        left = _drop(session, _built(session, concurrent), seconds if ours else 0.0)
        return "\n".join(_about(index, _THEN if ours else _NOT_OURS) for index in left)
    if concurrent.kind == "drop index":
        index = find_index(session, concurrent)
        if index is None or index.valid:
            return ""
        return f"{_about(index, 'The next run drops the rest')} To have it back instead: REINDEX INDEX {index.name};"
    if concurrent.kind.startswith("reindex"):
        left = _drop(session, reindex_leftovers(session, concurrent), seconds if ours else 0.0)
        lines = [_about(index, "The next run drops it") for index in left]
        lines += [
            f"The index {name} is left INVALID. It costs space and nothing else, and only a superuser can drop it."
            for name in toast_leftovers(session, concurrent)
        ]
        return "\n".join(lines)
    if concurrent.kind == "detach partition" and partition_state(session, concurrent) == "pending":
        return (
            f"The partition {concurrent.name} is half detached: queries of {concurrent.table} no longer see its rows, and no "
            f"other partition can be detached. {_finalize_hint(concurrent, ours=ours)}"
        )
    return ""


def _built(session: Session, concurrent: Concurrent) -> list[Index]:
    index = find_index(session, concurrent)
    return [index] if index is not None and not index.valid else []


def _drop(session: Session, left: list[Index], seconds: float) -> list[Index]:
    """Drop INVALID indexes one by one; those that are still there, as they are then."""
    if not seconds:
        return left
    still = []
    deadline = time.monotonic() + seconds
    for index in left:
        try:
            # never 0, which would be no limit
            session.run(f"SET statement_timeout = {max(1, round((deadline - time.monotonic()) * 1000))}")
            session.run(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}")
        except ServerError:
            still.append(index)
    return [now for index in still if (now := _as_it_is(session, index)) is not None]


def _as_it_is(session: Session, index: Index) -> Index | None:
    """Look at it once more: a drop that came half-way has ended its enforcement."""
    rows = session.run(
        f"SELECT indisready FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass({literal(index.name)})"
    )[0].rows
    return Index(index.name, False, index.definition, index.unique, rows[0][0] == "t") if rows else None


def _about(index: Index, then: str) -> str:
    if not index.written:
        cost = "no query uses it, and it is not enforced"
    elif index.unique:
        cost = "no query uses it, and it is enforced all the same: it refuses rows"
    else:
        cost = "no query uses it, and every write pays for it"
    return f"The index {index.name} is left INVALID: {cost}. {then}; by hand: DROP INDEX CONCURRENTLY {index.name};"


def _finalize_hint(concurrent: Concurrent, *, ours: bool = True) -> str:
    then = "The next run finishes it" if ours else "It was so before the file began"
    return f"{then}; by hand: {finalize_sql(concurrent)};"
