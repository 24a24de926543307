"""Every rollback proven: the schema behind it is the one before its migration, grants included.

Each migration is committed, and its rollback then tried in a transaction that is thrown away, so that a wrong one does not
stand in the way of the next. What cannot run in a transaction is really taken back, and applied again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from pipeline.check.backfills import unproven_backfill
from pipeline.lint.finding import Finding, about_file
from pipeline.postgres.connect import open_psycopg
from pipeline.schema.fingerprint import Fingerprints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dbclient.url import DatabaseURL
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.script import Script

RULE = "rollback"
T = TypeVar("T")


def unproven_rollbacks(
    database: DatabaseURL, files: Iterable[MigrationFile], rows_of: DatabaseURL | None = None
) -> list[Finding]:
    """Apply the files one by one, and find the rollbacks that do not lead back. What stands before them is applied already.

    A backfill is proven before its file is applied, on rows of the database `rows_of`. A migration that fails ends it.
    """
    with _connect(database) as connection:
        prints = Fingerprints(connection)
        found: list[Finding] = []
        before = prints.take()
        for file in files:
            found += unproven_backfill(database, file, rows_of)
            try:
                _run(connection, file.forward)
            except psycopg.Error as error:
                found.append(_untried(file, error))
                break
            after = prints.take()
            found += _try(connection, prints, file, before)
            really_undone = file.backward is not None and not file.backward.transactional
            before = prints.take() if really_undone else after
        return found


def _connect(database: DatabaseURL) -> psycopg.Connection[Any]:
    """A session with the settings of the one that deploys; to compile the fingerprint would take longer than to run it."""
    # with statements of its own prepared, psycopg forgets all of them behind a DROP, and the fingerprint's with them
    return open_psycopg(
        database, application_name="db-pipeline check", autocommit=True, prepare_threshold=None, settings={"jit": "off"}
    )


def _try(
    connection: psycopg.Connection[Any], prints: Fingerprints, file: MigrationFile, before: str
) -> Iterable[Finding]:
    script = file.backward
    if script is None:
        return
    try:
        if script.transactional:
            reached = _reached(connection, prints, script)
        else:
            _run(connection, script)
            reached = prints.take()
            _run(connection, file.forward)
    except psycopg.Error as error:
        yield about_file(
            script.path,
            RULE,
            f"it fails: {error.diag.message_primary or str(error).splitlines()[0]}",
            "Correct it: it has to take back what the migration does.",
            line=_line(script, error),
        )
        return
    if reached != before:
        yield about_file(
            script.path,
            RULE,
            "it does not lead back to the schema before its migration",
            f"`./inv verify --from {file.id}` shows object by object what is left or missing.",
        )


def _reached(connection: psycopg.Connection[Any], prints: Fingerprints, script: Script) -> str:
    """The schema behind a rollback that is thrown away."""

    def reach() -> str:
        with connection.transaction(force_rollback=True):
            _execute(connection, script.text)
            return prints.take()

    return _twice(reach)


def _untried(file: MigrationFile, error: psycopg.Error) -> Finding:
    why = error.diag.message_primary or str(error).splitlines()[0]
    return about_file(
        file.path,
        RULE,
        f"the migration fails, so no rollback from here on was tried: {why}",
        "Correct the migration first.",
        line=_line(file.forward, error),
    )


def _run(connection: psycopg.Connection[Any], script: Script) -> None:
    concurrent = script.concurrent
    if concurrent is not None:
        _twice(lambda: _execute(connection, concurrent.sql))
        return

    def run() -> None:
        with connection.transaction():
            _execute(connection, script.text)

    _twice(run)


def _execute(connection: psycopg.Connection[Any], sql: str) -> None:
    connection.execute("RESET ALL")  # as the runner does: a file's SET ends with it
    connection.execute(sql.encode())


def _twice(work: Callable[[], T]) -> T:
    """Do it once more after "tuple concurrently updated": another shadow has changed the same role at this moment."""
    try:
        return work()
    except psycopg.errors.InternalError_:
        return work()


def _line(script: Script, error: psycopg.Error) -> int:
    """The line of a fault that has a position; the first line otherwise."""
    position = error.diag.statement_position
    return script.text.count("\n", 0, int(position) - 1) + 1 if position else 1
