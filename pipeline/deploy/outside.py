"""A file whose one statement cannot run in a transaction: a log row that it started, the statement, the record.

A crash may leave the statement undone, half done or done. The next run looks at what is there, and goes on only where it
can prove that this pipeline left it; anything else stops with what to look at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.deploy.executing import execute, limits_sql
from pipeline.deploy.failure import lock_given_away
from pipeline.deploy.leftovers import (
    expected_index,
    find_index,
    partition_state,
    partition_state_sql,
    reindex_leftovers,
    reindex_leftovers_sql,
)
from pipeline.deploy.signals import SignalReceived
from pipeline.deploy.tidying import AFTER_ERROR, finalize_sql, may_have_left, tidy, tidy_after_signal
from pipeline.errors import DatabaseFailed, PipelineError
from pipeline.history.reading import parse_comment
from pipeline.history.record import CLEAN, mark_sql, started_sql, unmark_sql
from pipeline.postgres.lock import TRY
from pipeline.postgres.quoting import literal
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from pipeline.deploy.leftovers import Index
    from pipeline.deploy.observer import Observer
    from pipeline.history import Unfinished
    from pipeline.history.record import Author
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.concurrent import Concurrent
    from pipeline.migrations.script import Script
    from pipeline.postgres.session import Session


def run_outside(
    session: Session, file: MigrationFile, author: Author, unfinished: Unfinished | None, observer: Observer
) -> int:
    """Run a non-transactional file and record it; the statement's time in milliseconds.

    `unfinished` is what the history says of an earlier run that was cut off.

    Raises:
        MigrationFailed: the statement failed; the message says what it left.
        TimedOut: it did not get a lock within the file's own lock-timeout, or for two minutes where readers would wait behind it.
        DatabaseFailed: something is there that this pipeline cannot prove to be its own.
        ConnectionLost: the connection ended; the next run finds out how far it came.
        SignalReceived: `left` says what it left.
    """
    concurrent = concurrent_of(file.forward)
    _hold_the_lock(session, file)
    lsn = ""
    if unfinished is not None:
        lsn = unfinished.lsn
        try:
            done = _is_done(session, file, concurrent, unfinished)
        except SignalReceived as received:  # while it took away what the earlier run left
            ours = _is_ours(concurrent, unfinished.existed) and unfinished.checksum == file.checksum
            tidy_after_signal(session, concurrent, received, observer, ours=ours, attempt=False)
            raise
        if done:
            session.run(mark_sql(file, author, lsn=lsn) + CLEAN)
            return 0
    notes = _start(session, file, author, concurrent)
    milliseconds = execute(
        session, file.id, file.forward, observer, ours=_is_ours(concurrent, notes.get("existed", ""))
    )
    if concurrent.kind == "create index":
        _check_built(session, file.path, concurrent, is_new=not concurrent.if_not_exists)
    session.run(mark_sql(file, author, milliseconds=milliseconds, lsn=notes.get("lsn", lsn)) + CLEAN)
    return milliseconds


def undo_outside(session: Session, file: MigrationFile, script: Script, author: Author, observer: Observer) -> None:
    """Run a non-transactional rollback file and take the file's record away.

    It works on local databases only, where whatever is half done and as the rollback file would make it is taken for what
    an earlier try left. Raises what `run_outside` raises.
    """
    concurrent = concurrent_of(script)
    session.run(limits_sql(script))
    try:
        undone = _is_undone(session, script, concurrent)
    except SignalReceived as received:
        tidy_after_signal(session, concurrent, received, observer, ours=True, attempt=False)
        raise
    if not undone:
        execute(session, file.id, script, observer, ours=True)
    session.run(unmark_sql(file, author) + CLEAN)


def look_after_loss(session: Session, file: MigrationFile, unfinished: Unfinished | None) -> str:
    """What a non-transactional file left whose connection was lost, asked on another one; "" for nothing.

    What is proven to be its own is taken away, within AFTER_ERROR seconds.
    """
    if unfinished is None or unfinished.checksum != file.checksum:  # it had not begun
        return ""
    concurrent = concurrent_of(file.forward)
    ours = _is_ours(concurrent, unfinished.existed)
    try:
        if ours and concurrent.kind == "create index":
            index = find_index(session, concurrent)
            ours = index is not None and _is_as_written(session, concurrent, index)
        return tidy(session, concurrent, ours=ours, seconds=AFTER_ERROR)
    except PipelineError:
        return may_have_left(concurrent)


def concurrent_of(script: Script) -> Concurrent:
    """The statement of a file outside a transaction."""
    if script.concurrent is None:
        raise ValueError(f"{script.path} is transactional")
    return script.concurrent


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
    elif concurrent.kind == "detach partition":
        existed = partition_state_sql(concurrent)
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
        _check_built(session, file.path, concurrent, is_new=False)
    return notes


def _is_ours(concurrent: Concurrent, existed: str) -> bool:
    """Whether what the statement leaves is its own, when the log row of its start says that this `existed` before."""
    return existed == "attached" if concurrent.kind == "detach partition" else not existed


def _is_done(session: Session, file: MigrationFile, concurrent: Concurrent, unfinished: Unfinished) -> bool:
    """Whether the statement of a run that was cut off had its effect. What it left half done is taken away, or finished."""
    if concurrent.kind == "drop index":
        return bool(unfinished.existed) and find_index(session, concurrent) is None
    if not _is_ours(concurrent, unfinished.existed):  # the statement itself finds out
        return False
    session.run(limits_sql(file.forward, patient=True))
    if concurrent.kind.startswith("reindex"):
        if unfinished.checksum == file.checksum:
            _drop_leftovers(session, concurrent)
        return False
    if concurrent.kind == "detach partition":
        return _is_detached(session, concurrent) if unfinished.checksum == file.checksum else False
    if concurrent.kind != "create index":
        return False
    index = find_index(session, concurrent)
    if index is not None and unfinished.checksum != file.checksum:
        raise _not_ours(file.path, concurrent, index)
    return _is_built(session, file.path, concurrent)


def _is_undone(session: Session, script: Script, concurrent: Concurrent) -> bool:
    """Whether a rollback's statement had its effect already. What an earlier try left half done is taken away, or finished."""
    if concurrent.kind == "drop index":
        return find_index(session, concurrent) is None
    if concurrent.kind == "create index":
        return _is_built(session, script.path, concurrent)
    if concurrent.kind == "detach partition":
        return _is_detached(session, concurrent)
    if concurrent.kind.startswith("reindex"):
        _drop_leftovers(session, concurrent)
    return False


def _is_built(session: Session, path: str, concurrent: Concurrent) -> bool:
    """Whether the index is there, valid and as written. An INVALID one is dropped.

    Raises:
        DatabaseFailed: what has its name is another one.
    """
    index = find_index(session, concurrent)
    if index is None:
        return False
    if not _is_as_written(session, concurrent, index):
        raise _not_ours(path, concurrent, index)
    if index.valid:
        return True
    session.run(f"DROP INDEX CONCURRENTLY {index.name}")
    return False


def _is_detached(session: Session, concurrent: Concurrent) -> bool:
    """Whether the partition is none any more. One that is half detached is detached."""
    state = partition_state(session, concurrent)
    if state == "pending":
        session.run(finalize_sql(concurrent))
    return state != "attached"


def _drop_leftovers(session: Session, concurrent: Concurrent) -> None:
    for index in reindex_leftovers(session, concurrent):
        session.run(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}")


def _check_built(session: Session, path: str, concurrent: Concurrent, *, is_new: bool) -> None:
    """Nothing is recorded before the index is there, valid, and what the file says, as one is that was made just now."""
    index = find_index(session, concurrent)
    if index is None or not index.valid or not (is_new or _is_as_written(session, concurrent, index)):
        raise _not_ours(path, concurrent, index)


def _is_as_written(session: Session, concurrent: Concurrent, index: Index) -> bool:
    try:
        return index.definition == expected_index(session, concurrent)
    except ServerError:
        session.run("ROLLBACK")
        return False


def _not_ours(path: str, concurrent: Concurrent, index: Index | None) -> DatabaseFailed:
    if index is None:
        return DatabaseFailed(
            f"the index {concurrent.name} is not there after its statement ran",
            where=path,
            remedy="Somebody dropped it meanwhile. Run it again.",
        )
    state = "valid" if index.valid else "INVALID"
    return DatabaseFailed(
        f"an index {index.name} is there ({state}) that this file cannot be proven to have built:\n  {index.definition}",
        where=path,
        remedy=f"Look at it. If it may go: DROP INDEX CONCURRENTLY {index.name}; then run it again.",
    )
