"""One statement outside a transaction, in either direction: its limits, its retries, and what becomes of what it leaves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pipeline.deploy.failure import explain_file, gave_up
from pipeline.deploy.retrying import RETRY_FOR, TRY_AGAIN, Retries
from pipeline.deploy.signals import SignalReceived
from pipeline.deploy.tidying import AFTER_ERROR, tidy, tidy_after_signal
from pipeline.errors import TimedOut
from pipeline.postgres.connect import SETTINGS
from pipeline.postgres.quoting import literal
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from pipeline.deploy.observer import Observer
    from pipeline.errors import PipelineError
    from pipeline.migrations.concurrent import Concurrent
    from pipeline.migrations.script import Script
    from pipeline.postgres.session import Session

# A limit on waiting for locks would make CREATE INDEX CONCURRENTLY fail on any old transaction and leave an INVALID index,
# so there is none, but for what keeps readers waiting behind itself; the whole statement has a long limit instead.
LOCK_TIMEOUT = "0"
STATEMENT_TIMEOUT = "6h"

_LOCK_NOT_AVAILABLE = "55P03"
_WAITED_TOO_SHORT = "Find what holds the lock (pg_stat_activity: long transactions), or give it a longer lock-timeout."


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
    concurrent = script.concurrent
    assert concurrent is not None  # noqa: S101 - told to the type checker: the script is not transactional
    retries: Retries | None = None
    while True:
        started = time.monotonic()
        try:
            session.run(concurrent.sql)
            return round((time.monotonic() - started) * 1000)
        except SignalReceived as received:
            tidy_after_signal(session, concurrent, received, observer, ours=ours)
            raise
        except ServerError as error:
            if not concurrent.exclusive or error.sqlstate not in TRY_AGAIN:
                raise _failed(session, script, concurrent, error, observer, ours=ours) from error
            retries = retries or Retries(retry_for)
            seconds = retries.next_pause()
            if seconds is None:
                raise gave_up(error, script.path, retry_for) from error
            observer.retrying(id_, error.fields.get("message", ""), seconds)
        time.sleep(seconds)


def limits_sql(script: Script, *, patient: bool = False) -> str:
    """What sets the limits of a statement outside a transaction, for the session; `patient`: without one on locks."""
    exclusive = script.concurrent is not None and script.concurrent.exclusive
    usual = SETTINGS["lock_timeout"] if exclusive else LOCK_TIMEOUT
    lock_timeout = LOCK_TIMEOUT if patient else script.settings.get("lock-timeout", usual)
    statement_timeout = STATEMENT_TIMEOUT if patient else script.settings.get("statement-timeout", STATEMENT_TIMEOUT)
    return f"SET lock_timeout = {literal(lock_timeout)};SET statement_timeout = {literal(statement_timeout)};"


def _failed(
    session: Session, script: Script, concurrent: Concurrent, error: ServerError, observer: Observer, *, ours: bool
) -> PipelineError:
    """The statement's error, with what it left: an INVALID unique index still refuses rows, so a drop is tried at once."""
    failure: PipelineError = explain_file(error, script)
    if error.sqlstate == _LOCK_NOT_AVAILABLE:
        failure = TimedOut(failure.message, where=script.path, remedy=_WAITED_TOO_SHORT)
    try:
        left = tidy(session, concurrent, ours=ours, seconds=AFTER_ERROR)
    except SignalReceived as received:
        tidy_after_signal(session, concurrent, received, observer, ours=ours, attempt=False)
        raise
    if left:
        failure.message += f"\n{left}"
        failure.remedy = (
            "Run it again." if ours or concurrent.kind == "drop index" else "End that first, then run it again."
        )
        if ours and concurrent.kind != "detach partition":
            failure.remedy += " To edit the file instead, DROP INDEX CONCURRENTLY what is left first."
    return failure
