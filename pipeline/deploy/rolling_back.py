"""Rolling back on a local database: the applied files behind a given one, newest first, each with its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.deploy.claim import require_claim
from pipeline.deploy.concurrent.deciding import may_have_left
from pipeline.deploy.concurrent.running import undo_concurrent
from pipeline.deploy.locking import Deadlines, open_locked
from pipeline.deploy.observer import Observer
from pipeline.deploy.run import AppliedNow, Report, ask
from pipeline.deploy.signals import RERUN, SignalReceived
from pipeline.deploy.target import Target, check_target
from pipeline.deploy.transactional import Step, run_transactional
from pipeline.errors import DatabaseFailed, Interrupted, InvalidPlan, MigrationFileError, PipelineError, UsageError
from pipeline.history.record import Author
from pipeline.migrations import in_order_of_application
from pipeline.postgres.session import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chatdb.url import DatabaseURL
    from pipeline.migrations import Applied, Folder, MigrationFile
    from pipeline.migrations.script import Script
    from pipeline.postgres.session import Session


def rollback(
    url: DatabaseURL,
    folder: Folder,
    *,
    to: str,
    target: Target | None = None,
    author: Callable[[], Author] = Author,
    deadlines: Deadlines | None = None,
    observer: Observer | None = None,
) -> Report:
    """Roll back every migration that was applied after `to` (its id or its number; "0000" rolls back all of them).

    Raises:
        UsageError: no applied migration is named so.
        InvalidPlan: an applied file is missing or has no rollback file; nothing was run.
        DatabaseFailed: a statement failed or the server was lost; the message says what is rolled back.
        Interrupted: a signal arrived; the message says what is rolled back.
    """
    observer = observer or Observer()
    opened = open_locked(
        url, application="chat-database rollback", deadlines=deadlines or Deadlines(), observer=observer
    )
    with opened.session:
        target = target or Target(local_only=True)
        check_target(target, opened.identity, opened.history, opened.session.shown_as)
        if target.claim is not None:
            require_claim(target.claim, opened.session, opened.identity, opened.history.marker)
        chosen = _chosen(folder, opened.history.applied, to)
        done: list[AppliedNow] = []

        def count(migration: str, milliseconds: int | None) -> None:
            done.append(AppliedNow(migration, milliseconds))
            observer.applied(migration, milliseconds)

        try:
            written_by = author()
            for file, script in chosen:
                if script.transactional:
                    run_transactional(
                        opened.session, [Step.backward(file, script, written_by)], observer, count, opened.notices
                    )
                else:
                    undo_concurrent(opened.session, file, script, written_by, observer)
                    count(file.id, None)
        except ConnectionLost as lost:
            # the last answer may be lost and not the work
            raise DatabaseFailed(
                f"{lost.message}\nat least {_standing(chosen, {each.id for each in done}, left=_worst(chosen, done))}",
                remedy=RERUN,
            ) from lost
        except SignalReceived as signal:
            gone = _gone(opened.session, chosen, done)
            raise Interrupted(
                f"interrupted; {_standing(chosen, gone, left=signal.left)}", signal_number=signal.number, remedy=RERUN
            ) from None
        except PipelineError as error:
            error.message = f"{error.message}\n{_standing(chosen, {each.id for each in done})}"
            raise
    left = len(opened.history.applied) - len(done)
    return Report(opened.session.shown_as, opened.identity, left, tuple(done))


def _chosen(folder: Folder, applied: Mapping[str, Applied], to: str) -> list[tuple[MigrationFile, Script]]:
    """The files to roll back with their rollback scripts: those applied after `to`, the last one first."""
    order = in_order_of_application(applied.values())
    if to != "0000" and not any(to in {id_, id_[:4]} for id_ in applied):
        last = order[-1].id if order else "none"
        raise UsageError(
            f"no applied migration is named {to}; the last one is {last}",
            remedy="Give the id or the number of the one to keep as the last, or 0000 to roll back all of them.",
        )
    chosen = []
    for id_ in (each.id for each in reversed(order)):
        if to in {id_, id_[:4]}:
            break
        file = folder.by_id.get(id_)
        if file is None:
            raise InvalidPlan(
                "it is applied in the database, but the file is missing",
                where=f"{folder.path}/{id_}.sql",
                remedy="Restore it (and its rollback file), or start anew with `./inv reset`.",
            )
        if file.backward is None:
            raise MigrationFileError(
                "it has no rollback file",
                where=file.path,
                remedy=f"Write {file.id}.rollback.sql, or start anew with `./inv reset`.",
            )
        chosen.append((file, file.backward))
    return chosen


def _gone(
    session: Session, chosen: Sequence[tuple[MigrationFile, Script]], done: Sequence[AppliedNow]
) -> set[str] | None:
    """The ids that are rolled back, or None when the session can no longer tell."""
    if session.unsent:
        return {each.id for each in done}
    applied = ask(session, done)
    return None if applied is None else {file.id for file, _ in chosen if file.id not in applied}


def _worst(chosen: Sequence[tuple[MigrationFile, Script]], done: Sequence[AppliedNow]) -> str:
    """What the file may have left that was at work when the connection was lost."""
    concurrent = chosen[len(done)][1].concurrent if len(done) < len(chosen) else None
    return "" if concurrent is None else may_have_left(concurrent)


def _standing(chosen: Sequence[tuple[MigrationFile, Script]], gone: set[str] | None, *, left: str | None = None) -> str:
    """One sentence about what of a rollback is done, and one about what a file outside a transaction has `left`."""
    about_left = f"\n{left}" if left else ""
    if gone is None:
        return f"what of this run is rolled back is not known: `./inv status` tells.{about_left}"
    return f"{len(gone)} of {len(chosen)} rolled back in this run.{about_left}"
