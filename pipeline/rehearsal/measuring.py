"""Run the pending files on a copy of production as a deploy does, one statement at a time, and look after each.

The session, its settings, the transactions and the records are the deploy's own (`pipeline.deploy`, `pipeline.history`); what is
sent as one query there goes out in pieces here. Time and WAL are taken by the server around each piece, so that neither the
way to it nor a look counts.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from psycopg import errors as conditions

from pipeline.deploy.batched import run_batched
from pipeline.deploy.checkout import BACKFILL_SECONDS
from pipeline.deploy.concurrent import run_concurrent
from pipeline.deploy.failure import RETRY_FOR, TRY_AGAIN, Retries, explain_file, gave_up, lock_given_away
from pipeline.deploy.locking import Deadlines, open_locked
from pipeline.deploy.notices import Notices
from pipeline.deploy.observer import Observer
from pipeline.deploy.steps import Step, Work
from pipeline.deploy.target import Target, check_target
from pipeline.errors import DatabaseFailed
from pipeline.history.backfills import read_backfills
from pipeline.history.record import CLEAN, LOCK_LOST, Author, apply_in_pieces
from pipeline.history.tables import CREATE
from pipeline.migrations import raise_faults
from pipeline.migrations.plan import make_plan
from pipeline.migrations.script import Kind
from pipeline.postgres.connect import open_session
from pipeline.postgres.lock import APPLICATION
from pipeline.postgres.session import ServerError
from pipeline.receipts.digests import SchemaDigests
from pipeline.rehearsal.failing_rows import find_failing_rows
from pipeline.rehearsal.looking import (
    NOTHING,
    TABLES,
    count_rows,
    lock_hold,
    look_sql,
    parse_look,
    read_relations,
    rewrites,
    sizes,
)
from pipeline.rehearsal.observing import observed
from pipeline.rehearsal.sampling import sample
from pipeline.rehearsal.values import Failure, FileMeasurement, Measured, RowChanges, StatementMeasurement

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from dbclient.url import DatabaseURL
    from pipeline.deploy.locking import Opened
    from pipeline.history.record import Piece
    from pipeline.migrations import Folder, MigrationFile
    from pipeline.postgres.session import Result, Session
    from pipeline.rehearsal.looking import Look, Relation
    from pipeline.rehearsal.sampling import Sample
    from pipeline.rehearsal.values import FailingRows, LockHold

_LOOK_AGAIN = (
    "Nothing is known of the migration then. Rehearse it again; if it stays, this is a fault of the rehearsal."
)
_SHOWN_WORK = f"{APPLICATION} rehearse"


class Listener(Observer):
    """Told of what is measured as it is; this one stays silent."""

    def measured(self, migration: str, statement: StatementMeasurement, pid: int) -> None:
        """One statement of a migration was looked at, and its transaction, of the backend `pid`, is still open.

        How long its locks are held is not known yet, and 0. A statement outside a transaction is over, and that is known.
        """


def measure(
    url: DatabaseURL,
    folder: Folder,
    *,
    author: Author | None = None,
    deadlines: Deadlines | None = None,
    listener: Listener | None = None,
) -> Measured:
    """Apply what is pending of the folder to a copy of production, for good, and say what each statement did.

    The end state, and the history but for instants and durations, are those of a deploy. A statement that fails is the
    result's `failure`, with the rows that stop it where data do, and ends the run; what was applied before it stays.

    Raises:
        InvalidPlan: a file is at fault, edited, missing or out of order; nothing was run.
        Refused: the database has another tool's history, or is behind a pooler.
        TimedOut: somebody else uses the copy: the deploy's lock, or one that a file needs, did not become free.
        DatabaseFailed: no connection, or it was lost.
    """
    listener = listener or Listener()
    opened = open_locked(url, application=_SHOWN_WORK, deadlines=deadlines or Deadlines(), observer=listener)
    with opened.session as session:
        session.on_notice = None  # what a file has to say may have values in it
        check_target(Target(), opened.identity, opened.history, session.shown_as)
        plan = make_plan(folder, opened.history.applied, opened.history.held)
        raise_faults(plan.faults)
        if not opened.history.exists:
            session.run(CREATE)
        run = _Run(url, opened, author or Author(), listener, read_relations(session).keys())
        if not plan.pending:
            return Measured(())
        with open_session(url.direct(), application_name=_SHOWN_WORK) as aside:
            return _measure_files(run, plan.pending, SchemaDigests(aside))


def _measure_files(run: _Run, pending: Sequence[MigrationFile], schemas: SchemaDigests) -> Measured:
    """Measure each file, and name the schema behind it: a deploy that was ended there goes on from that one."""
    files: list[FileMeasurement] = []
    for file in pending:
        run.listener.running(file.id)
        try:
            found = replace(_measure_file(run, file), schema=schemas.take())
        except _Stopped as stopped:
            return Measured(tuple(files), stopped.failure)
        files.append(found)
        run.listener.applied(file.id, round(found.milliseconds))
    return Measured(tuple(files))


@dataclass(frozen=True)
class _Run:
    """What measuring a file needs. `known` are the oids of what was there before the first file."""

    url: DatabaseURL
    opened: Opened
    author: Author
    listener: Listener
    known: Collection[str]

    @property
    def session(self) -> Session:
        return self.opened.session


class _Stopped(Exception):
    """A statement failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.condition)
        self.failure = failure


def _measure_file(run: _Run, file: MigrationFile) -> FileMeasurement:
    run.session.run(
        "SELECT pg_catalog.pg_stat_force_next_flush()"
    )  # else the next file's rows are those of the last too
    before = read_relations(run.session)
    if file.forward.kind is not Kind.TRANSACTIONAL:
        return _measure_outside(run, file, before)
    retries = Retries(RETRY_FOR)
    while True:
        try:
            return _Transaction(run, file, before).measure()
        except ServerError as error:
            _start_afresh(run.session)
            if error.sqlstate == LOCK_LOST:
                raise lock_given_away(run.session, file.path) from error
            seconds = retries.next_pause()
            if seconds is None:
                raise gave_up(error, file.path, RETRY_FOR) from error
            run.listener.retrying(file.id, "a lock that it needs is somebody else's", seconds)
        time.sleep(seconds)


class _Transaction:
    """A file's transaction, measured from BEGIN to COMMIT."""

    def __init__(self, run: _Run, file: MigrationFile, before: Mapping[str, Relation]) -> None:
        self._run = run
        self._file = file
        self._session = run.session
        self._pieces = apply_in_pieces(file, run.author)
        self._before = before
        self._relations = dict(before)  # as the last look saw them
        self._look = NOTHING

    def measure(self) -> FileMeasurement:
        """Run it.

        Raises:
            _Stopped: a statement failed on what is there; the transaction is rolled back.
            ServerError: it may be tried again; the caller rolls back.
        """
        began, lsn = (value or "" for value in self._begin()[-1].rows[0])
        found = [self._measure_piece(piece.sql, piece) for piece in self._pieces.statements]
        ending = self._measure_piece(self._pieces.end(began, lsn), None)
        started = time.perf_counter()
        self._commit()
        commit = round((time.perf_counter() - started) * 1000, 3)
        *statements, ending = _with_holds([*found, ending], commit)
        accepted = self._file.forward.accepted.get("exclusive-lock", "")
        file = self._file
        return FileMeasurement(file.id, file.path, file.checksum, tuple(statements), ending, commit, accepted)

    def _begin(self) -> list[Result]:
        try:
            return self._session.run(self._pieces.begin)
        except ServerError as error:
            self._fail(error, None)

    def _commit(self) -> None:
        try:
            self._session.run("COMMIT")
        except ServerError as error:
            self._fail(error, None)

    def _measure_piece(self, sql: str, piece: Piece | None) -> StatementMeasurement:
        line = 0 if piece is None else piece.chunks[0].statements[0].line
        try:
            results = self._session.run(sql + look_sql())
        except ServerError as error:
            if error.results:  # the piece is done, and it was the look that failed
                what = f"the look behind the statement failed ({error.sqlstate} {condition_of(error.sqlstate)})"
                raise DatabaseFailed(what, where=f"{self._file.path}:{line}", remedy=_LOOK_AGAIN) from error
            self._fail(error, piece)
        milliseconds, wal_bytes, look = parse_look(results)
        # what was dropped is locked until COMMIT, and has its name from before; what is made and gone by now has none
        names = self._relations | look.relations
        locked = [(oid, mode) for oid, mode in look.locks - self._look.locks if oid in names]
        changes = self._changes(look)
        rewritten = self._rewritten(look)
        touched = {*(oid for oid, _ in locked), *changes, *rewritten}
        found = StatementMeasurement(
            line,
            milliseconds,
            wal_bytes,
            locks=self._locks(locked, names),
            rewrote=rewrites(rewritten, self._count(rewritten), self._run.known),
            changed=tuple(sorted(changes.values(), key=lambda each: each.table)),
            tables=sizes(self._before[oid] for oid in touched if oid in self._before),
            statements=0 if piece is None else sum(len(chunk.statements) for chunk in piece.chunks),
        )
        self._relations = names
        self._look = look
        if piece is not None:
            self._run.listener.measured(self._file.id, found, self._session.backend_pid)
        return found

    def _locks(self, locked: Sequence[tuple[str, str]], names: Mapping[str, Relation]) -> tuple[LockHold, ...]:
        holds = (lock_hold(names[oid], mode, 0.0, is_new=oid not in self._run.known) for oid, mode in locked)
        return tuple(sorted(holds, key=lambda lock: (lock.relation, lock.mode)))

    def _rewritten(self, look: Look) -> dict[str, Relation]:
        return {
            oid: relation
            for oid, relation in look.relations.items()
            if oid in self._relations and self._relations[oid].file != relation.file
        }

    def _count(self, rewritten: Mapping[str, Relation]) -> dict[str, int]:
        """The rows of tables by name; the estimate from before where the file's role may not count them."""
        estimated = {each.name: self._before[oid].rows for oid, each in rewritten.items() if oid in self._before}
        return estimated | count_rows(self._session, (each.name for each in rewritten.values() if each.kind in TABLES))

    def _changes(self, look: Look) -> dict[str, RowChanges]:
        found = {}
        for oid, now in look.changes.items():
            then = self._look.changes.get(oid, (0, 0, 0))
            pairs = list(zip(now, then, strict=True))
            # TRUNCATE sets the transaction's numbers to zero
            more = now if any(new < old for new, old in pairs) else tuple(new - old for new, old in pairs)
            if any(more):
                found[oid] = RowChanges(look.relations[oid].name, *more)
        return found

    def _fail(self, error: ServerError, piece: Piece | None) -> NoReturn:
        """Raise the error where it may be tried again, else what is known of the statement that failed; None: at the end."""
        if error.sqlstate in TRY_AGAIN or error.sqlstate == LOCK_LOST:
            raise error
        _start_afresh(self._session)
        single = self._pieces.single
        number = len(single) if piece is None else self._number_of(error, piece)
        failed = None if piece is None else single[number].chunks[0].statements

        def replay() -> None:
            self._session.run(self._pieces.begin)
            for each in single[:number]:
                self._session.run(each.sql)

        statement = failed[0] if failed is not None and len(failed) == 1 else None
        failing = find_failing_rows(self._session, replay, statement, error) if statement or failed is None else None
        _start_afresh(self._session)
        raise _Stopped(_failure(self._file, failed[0].line if failed else None, error, failing)) from error

    def _number_of(self, error: ServerError, piece: Piece) -> int:
        """Which of the file's chunks failed: of a piece of several, the one that the server's error is about."""
        single = [each.chunks[0] for each in self._pieces.single]
        first = single.index(piece.chunks[0])
        _, _, line = explain_file(error, self._file.forward).where.rpartition(":")
        if len(piece.chunks) == 1 or not line.isdigit():
            return first
        return first + sum(chunk.statements[0].line <= int(line) for chunk in piece.chunks[1:])


def _measure_outside(run: _Run, file: MigrationFile, before: Mapping[str, Relation]) -> FileMeasurement:
    """Run a file outside a transaction with the deploy's own steps, while another session looks at its locks."""
    took: list[int | None] = []
    listener = Observer()
    work = Work(
        run.session,
        run.author,
        listener,
        Notices(listener),
        run.opened.history.unfinished,
        lambda _id, milliseconds: took.append(milliseconds),
        BACKFILL_SECONDS,
    )
    script = file.forward
    line = script.statements[0].line
    carry_out = run_batched if script.kind is Kind.BATCHED else run_concurrent
    sampled = _sampled(run, file)
    began = time.perf_counter()
    try:
        with observed(run.url, run.session.backend_pid, before, run.known) as seen:
            carry_out(work, [Step(file, script)])
    except DatabaseFailed as error:
        if not isinstance(error.__cause__, ServerError):
            raise
        _start_afresh(run.session)
        failing = None
        if script.kind is Kind.CONCURRENT:
            failing = find_failing_rows(
                run.session, lambda: _begin(run.session), script.statements[0], error.__cause__, script.concurrent
            )
            _start_afresh(run.session)
        raise _Stopped(_failure(file, line, error.__cause__, failing)) from error
    milliseconds = took[0] if took and took[0] is not None else round((time.perf_counter() - began) * 1000)
    found = replace(seen.measurement(), line=line, milliseconds=float(milliseconds), changed=_batches(run, file))
    run.listener.measured(file.id, found, run.session.backend_pid)
    accepted = script.accepted.get("exclusive-lock", "")
    return FileMeasurement(file.id, file.path, file.checksum, (found,), accepted=accepted, backfill=sampled)


def _sampled(run: _Run, file: MigrationFile) -> Sample | None:
    """What batches all over the table's rows do, before a deploy's own begin with the first ones."""
    if file.forward.batched is None:
        return None
    try:
        return sample(run.session, file, file.forward.batched)
    except ServerError as error:
        raise _Stopped(_failure(file, file.forward.batched.line, error, None)) from error


def _batches(run: _Run, file: MigrationFile) -> tuple[RowChanges, ...]:
    """How many rows all batches of a file changed; of another file's statement nothing is known."""
    if file.forward.batched is None:
        return ()
    table = file.forward.batched.table
    name = table if "." in table else f"public.{table}"
    changed = [each.changed for each in read_backfills(run.session) if each.id == file.id]
    return tuple(RowChanges(name, 0, each, 0) for each in changed if each)


def _with_holds(parts: Sequence[StatementMeasurement], commit: float) -> list[StatementMeasurement]:
    """The parts of a transaction with how long each lock is held: from the begin of its part to the end of COMMIT."""
    found: list[StatementMeasurement] = []
    left = commit
    for part in reversed(parts):
        left += part.milliseconds
        found.append(replace(part, locks=tuple(replace(lock, held=round(left, 3)) for lock in part.locks)))
    return found[::-1]


def _failure(file: MigrationFile, line: int | None, error: ServerError, failing: FailingRows | None) -> Failure:
    return Failure(file.id, file.path, line, error.sqlstate, condition_of(error.sqlstate), failing)


def condition_of(sqlstate: str) -> str:
    """PostgreSQL's name for an SQLSTATE, as "not_null_violation"; empty for one that it has none for."""
    try:
        name = conditions.lookup(sqlstate).__name__
    except KeyError:
        return ""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _begin(session: Session) -> None:
    session.run("BEGIN")


def _start_afresh(session: Session) -> None:
    """Undo what is open, and make the session as new, as the runner does behind a file that failed."""
    session.run(("ROLLBACK;" if session.in_transaction else "") + CLEAN)
