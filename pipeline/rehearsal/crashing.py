"""The deploy killed behind each of its statements, and run again: it has to end where one ends that nobody kills.

What is killed is a process of its own (`doomed`), by SIGKILL, while its transaction is open behind a statement; outside a
transaction behind each message that it sends, and while the statement is at work. The deploy itself then ends the file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Final

from pipeline import packages
from pipeline.deploy import apply
from pipeline.deploy.checkout import BACKFILL_SECONDS
from pipeline.deploy.locking import Deadlines
from pipeline.errors import PipelineError
from pipeline.history.record import Author, apply_in_pieces
from pipeline.migrations.script import Kind
from pipeline.postgres.connect import ConnectFailed, open_session
from pipeline.postgres.lock import APPLICATION
from pipeline.postgres.session import ConnectionLost
from pipeline.rehearsal.digests import digests_of
from pipeline.rehearsal.result import Crash
from pipeline.rehearsal.telling import Told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dbclient.url import DatabaseURL
    from pipeline.deploy.observer import Observer
    from pipeline.migrations import Folder, MigrationFile
    from pipeline.receipts.digests import Digests

_PROGRAM: Final = "pipeline.rehearsal.doomed"
_KILLED: Final = -9  # the return code of a process that SIGKILL ended
# The session of a killed process lets go of the deploy's lock when the server has noticed.
_PATIENT: Final = Deadlines(lock=120.0)
_POLL: Final = 0.05  # seconds between two looks at whether the statement waits
_WAIT_FOR_SNAPSHOTS: Final = frozenset({"create index", "reindex index", "reindex table"})
_WAITING: Final = (
    "SELECT count(*) FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid) "
    "WHERE NOT l.granted AND l.locktype = 'virtualxid' AND a.datname = pg_catalog.current_database()"
)


def kill_and_run_again(
    url: DatabaseURL, folder: Folder, pending: Sequence[MigrationFile], end: Digests, observer: Observer
) -> Crash:
    """Go through the pending files on a copy: each is killed at every point of it, and then deployed.

    `end` is the state that a deploy ends in. Where one cannot be run again, the later files are not tried.

    Raises:
        DatabaseFailed: the copy was lost.
    """
    points = 0
    for file in pending:
        through = replace(folder, files=folder.files[: folder.files.index(file) + 1])
        observer.beginning(f"killing the deploy at each statement of {file.id}, and running it again")
        killed_at = list(_kill_at_each_point(url, through, file, observer))
        points += len(killed_at)
        try:
            apply(
                url,
                through,
                deadlines=_PATIENT,
                observer=Told(observer, "deployed again"),
                verb="rehearse",
                backfill_seconds=BACKFILL_SECONDS,
            )
        except PipelineError as error:
            if isinstance(error, ConnectFailed) or isinstance(error.__cause__, ConnectionLost):
                raise
            return Crash(points, (killed_at[-1] if killed_at else file.path,))
    found = digests_of(url)
    diverged = {"the schema": found.schema != end.schema, "the history": found.history != end.history}
    return Crash(points, tuple(f"{what} in the end" for what, differs in diverged.items() if differs))


def _kill_at_each_point(url: DatabaseURL, through: Folder, file: MigrationFile, observer: Observer) -> Iterator[str]:
    """Kill a deploy at one point of a file after the other, each time from where the last one left it; yields their names."""
    script = file.forward
    if script.kind is Kind.TRANSACTIONAL:
        for number, piece in enumerate(apply_in_pieces(file, Author()).statements, start=1):
            name = f"{file.path}:{piece.chunks[0].statements[0].line}"
            observer.working(f"killing the deploy behind {name}")
            if _is_killed(url, through, file, number):
                yield name
    elif script.kind is Kind.CONCURRENT:
        name = f"{file.path}:{script.statements[0].line}"
        observer.working(f"killing the deploy at {name}")
        builds = script.concurrent is not None and script.concurrent.kind in _WAIT_FOR_SNAPSHOTS
        if builds and _is_killed_at_work(url, through, file):
            yield f"{name}, while it is at work"
        for number in count(1):
            if not _is_killed(url, through, file, number):
                break
            yield f"{name}, behind message {number}"


def _is_killed(url: DatabaseURL, through: Folder, file: MigrationFile, point: int) -> bool:
    """Run a process that is killed at a point; False where it came to its end before it."""
    with _doomed(url, through, file, point) as process:
        return process.wait() == _KILLED


def _is_killed_at_work(url: DatabaseURL, through: Folder, file: MigrationFile) -> bool:
    """Kill a process while its statement waits for a snapshot that is held here: a build then leaves what it has."""
    with (
        open_session(url, application_name=f"{APPLICATION} snapshot") as holding,
        open_session(url, application_name=f"{APPLICATION} look") as looking,
    ):
        holding.run("BEGIN ISOLATION LEVEL REPEATABLE READ;SELECT 1;SET idle_in_transaction_session_timeout = 0")
        with _doomed(url, through, file, 0) as process:
            while process.poll() is None:
                if looking.run(_WAITING)[0].rows[0][0] != "0":
                    process.kill()
                    return process.wait() == _KILLED
                time.sleep(_POLL)
    return False


@contextmanager
def _doomed(url: DatabaseURL, through: Folder, file: MigrationFile, point: int) -> Iterator[subprocess.Popen[str]]:
    """A process that deploys through a file, and is killed at a point of it (0: by nobody). What it says has values in it."""
    wanted = {"url": url.reveal(), "folder": os.path.abspath(through.path), "file": file.id, "point": point}  # noqa: PTH100
    process = subprocess.Popen(
        [sys.executable, "-m", _PROGRAM],
        cwd=packages.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C is for us
    )
    try:
        if process.stdin is not None:
            with process.stdin:
                json.dump(wanted, process.stdin)
        yield process
    finally:
        process.kill()
        process.wait()
