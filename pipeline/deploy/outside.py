"""A file whose one statement cannot run in a transaction: a log row that it started, the statement, the record.

A crash may leave the statement undone, half done or done. The next run looks at what is there, and goes on only where it
can prove that this pipeline left it; anything else stops with what to look at.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pipeline.deploy.failure import explain_file, lock_given_away
from pipeline.deploy.leftovers import expected_index, find_index, reindex_leftovers, reindex_leftovers_sql
from pipeline.errors import DatabaseFailed, PipelineError, TimedOut
from pipeline.history.reading import parse_comment
from pipeline.history.record import CLEAN, mark_sql, started_sql
from pipeline.postgres.lock import TRY
from pipeline.postgres.quoting import literal
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from pipeline.deploy.leftovers import Index
    from pipeline.history import Unfinished
    from pipeline.history.record import Author
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.concurrent import Concurrent
    from pipeline.migrations.script import Script
    from pipeline.postgres.session import Session

# A limit on waiting for locks would make CREATE INDEX CONCURRENTLY fail on any old transaction and leave an INVALID index,
# so there is none; the whole statement has a long limit instead.
LOCK_TIMEOUT = "0"
STATEMENT_TIMEOUT = "6h"

_LOCK_NOT_AVAILABLE = "55P03"
_WAITED_TOO_SHORT = "Find what holds the lock (pg_stat_activity: long transactions), or give it a longer lock-timeout."


def run_outside(session: Session, file: MigrationFile, author: Author, unfinished: Unfinished | None) -> int:
    """Run a non-transactional file and record it; the statement's time in milliseconds.

    `unfinished` is what the history says of an earlier run that was cut off.

    Raises:
        MigrationFailed: the statement failed; the message says what it left.
        TimedOut: it did not get a lock within the file's own lock-timeout.
        DatabaseFailed: something is there that this pipeline cannot prove to be its own.
        ConnectionLost: the connection ended; the next run finds out how far it came.
    """
    concurrent = _concurrent(file)
    _hold_the_lock(session, file)
    lsn = ""
    if unfinished is not None:
        lsn = unfinished.lsn
        if _is_done(session, file, concurrent, unfinished):
            session.run(mark_sql(file, author, lsn=lsn) + CLEAN)
            return 0
    notes = _start(session, file, author, concurrent)
    started = time.monotonic()
    try:
        session.run(concurrent.sql)
    except ServerError as error:
        raise _failed(session, file, concurrent, error, existed=notes.get("existed", "")) from error
    milliseconds = round((time.monotonic() - started) * 1000)
    if concurrent.kind == "create index":
        _check_built(session, file, concurrent, is_new=not concurrent.if_not_exists)
    session.run(mark_sql(file, author, milliseconds=milliseconds, lsn=notes.get("lsn", lsn)) + CLEAN)
    return milliseconds


def limits_sql(script: Script) -> str:
    """What sets the limits of a statement outside a transaction, for the session."""
    return (
        f"SET lock_timeout = {literal(script.settings.get('lock-timeout', LOCK_TIMEOUT))};"
        f"SET statement_timeout = {literal(script.settings.get('statement-timeout', STATEMENT_TIMEOUT))};"
    )


def _concurrent(file: MigrationFile) -> Concurrent:
    concurrent = file.forward.concurrent
    if concurrent is None:
        raise ValueError(f"{file.id} is transactional")
    return concurrent


def _hold_the_lock(session: Session, file: MigrationFile) -> None:
    """Make sure of the lock once more: a statement outside a transaction may have given it away, in an index's function.

    A rival could take the index that we build for one that a killed run left, and drop it.
    """
    if session.run(f"SELECT {TRY}")[0].rows[0][0] != "t":
        raise lock_given_away(session, file.path)


def _start(session: Session, file: MigrationFile, author: Author, concurrent: Concurrent) -> dict[str, str]:
    """Log the start, with what is there already, and set the session's limits; the log row's notes."""
    existed = "''"
    if concurrent.kind in {"create index", "drop index"}:
        existed = f"coalesce(pg_catalog.to_regclass({literal(concurrent.name)})::oid::text, '')"
    elif concurrent.kind.startswith("reindex"):
        existed = reindex_leftovers_sql(concurrent)
    results = session.run(f"{started_sql(file, author, existed)};{limits_sql(file.forward)}")
    notes = parse_comment(results[0].rows[0][0] or "")
    if notes.get("existed") and concurrent.kind.startswith("reindex"):
        raise DatabaseFailed(
            f"{concurrent.name} has leftovers of another REINDEX: {notes['existed']}",
            where=file.path,
            remedy="Look at them (\\d in psql). Drop those that are INVALID with DROP INDEX CONCURRENTLY, then run it again.",
        )
    if notes.get("existed") and concurrent.if_not_exists:
        # It would take whatever has the name, an INVALID index too.
        _check_built(session, file, concurrent, is_new=False)
    return notes


def _is_done(session: Session, file: MigrationFile, concurrent: Concurrent, unfinished: Unfinished) -> bool:
    """Whether the statement of a run that was cut off had its effect. What it left half done is taken away."""
    if concurrent.kind == "drop index":
        return bool(unfinished.existed) and find_index(session, concurrent) is None
    if unfinished.existed:  # not ours to take away, or to take over: the statement itself finds out
        return False
    session.run(f"SET lock_timeout = {LOCK_TIMEOUT};SET statement_timeout = {literal(STATEMENT_TIMEOUT)}")
    if concurrent.kind.startswith("reindex"):
        if unfinished.checksum == file.checksum:
            for name in reindex_leftovers(session, concurrent):
                session.run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        return False
    if concurrent.kind != "create index":
        return False
    index = find_index(session, concurrent)
    if index is None:
        return False
    if unfinished.checksum != file.checksum or not _is_as_written(session, concurrent, index):
        raise _not_ours(file, concurrent, index)
    if index.valid:
        return True
    session.run(f"DROP INDEX CONCURRENTLY {index.name}")
    return False


def _check_built(session: Session, file: MigrationFile, concurrent: Concurrent, *, is_new: bool) -> None:
    """Nothing is recorded before the index is there, valid, and what the file says, as one is that was made just now."""
    index = find_index(session, concurrent)
    if index is None or not index.valid or not (is_new or _is_as_written(session, concurrent, index)):
        raise _not_ours(file, concurrent, index)


def _is_as_written(session: Session, concurrent: Concurrent, index: Index) -> bool:
    try:
        return index.definition == expected_index(session, concurrent)
    except ServerError:
        session.run("ROLLBACK")
        return False


def _not_ours(file: MigrationFile, concurrent: Concurrent, index: Index | None) -> DatabaseFailed:
    if index is None:
        return DatabaseFailed(
            f"the index {concurrent.name} is not there after its statement ran",
            where=file.path,
            remedy="Somebody dropped it meanwhile. Run it again.",
        )
    state = "valid" if index.valid else "INVALID"
    return DatabaseFailed(
        f"an index {index.name} is there ({state}) that this file cannot be proven to have built:\n  {index.definition}",
        where=file.path,
        remedy=f"Look at it. If it may go: DROP INDEX CONCURRENTLY {index.name}; then run it again.",
    )


def _failed(
    session: Session, file: MigrationFile, concurrent: Concurrent, error: ServerError, *, existed: str
) -> PipelineError:
    """The statement's error. An INVALID unique index still refuses rows, so what was half built is taken away at once."""
    failure: PipelineError = explain_file(error, file.forward)
    if error.sqlstate == _LOCK_NOT_AVAILABLE:
        failure = TimedOut(failure.message, where=file.path, remedy=_WAITED_TOO_SHORT)
    if concurrent.kind != "create index" or existed:
        return failure
    index = find_index(session, concurrent)
    if index is None or index.valid:
        return failure
    try:
        session.run(f"DROP INDEX CONCURRENTLY {index.name}")
    except ServerError as second:
        failure.message += (
            f"\nThe index {index.name} is left INVALID ({second.message}); the next run drops it and builds it again."
        )
        failure.remedy = f"Run it again. To edit the file instead, DROP INDEX CONCURRENTLY {index.name} first."
    return failure
