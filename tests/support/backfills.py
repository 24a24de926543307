"""A table whose rows are to be counted up once, the batched file that does it, and backfills in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbclient.url import DatabaseURL
from pipeline.deploy import apply
from pipeline.deploy.backfilling import Backfilled, backfill
from pipeline.deploy.checkout import Checkout
from pipeline.deploy.observer import Observer
from pipeline.deploy.target import Target
from pipeline.environments import Environment
from pipeline.errors import PipelineError
from pipeline.migrations import read_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.folders import FolderBuilder

REMAINING = "-- remaining: SELECT count(*) FROM item WHERE done = 0\n"
UPDATE = "UPDATE item SET done = done + 1 WHERE done = 0 AND /* batch */ true;"

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.support.backfills"])


def head(key: str, table: str = "item") -> str:
    """The head of a file that goes through a table in the order of a key."""
    return f"-- pipeline: batched={table} key={key}\n{REMAINING}"


def items(folder: FolderBuilder, number: int, *, key: str = "id int PRIMARY KEY", rows: str = "n") -> FolderBuilder:
    """Migrations that make the table and so many rows in it, each with `done` as 0."""
    folder.write("0001_item", f"CREATE TABLE item ({key}, done int NOT NULL DEFAULT 0);")
    return folder.write("0002_items", f"INSERT INTO item SELECT {rows} FROM generate_series(1, {number}) n;")


def registered(url: DatabaseURL, folder: FolderBuilder, *, statement: str = UPDATE, key: str = "id") -> None:
    """Deploy a file that counts each row up, without working on it."""
    apply(url, folder.read(), backfill_seconds=0)
    folder.write("0003_done", head(key) + statement)
    apply(url, folder.read(), backfill_seconds=0)


def checkout_of(url: DatabaseURL, folder: FolderBuilder | Path, observer: Observer | None = None) -> Checkout:
    """The checkout that has these migrations, for a database without a name."""
    path = folder if isinstance(folder, Path) else folder.path
    return Checkout(path.parent, Environment(None, url, "a test"), Target(), "backfill", observer or Observer())


def go_on(url: DatabaseURL, folder: FolderBuilder, observer: Observer | None = None, **wishes: Any) -> Backfilled:
    """`./inv backfill`."""
    return backfill(checkout_of(url, folder, observer), **wishes)


def _work(url: str, path: str, ends: Any) -> None:
    try:
        found = backfill(checkout_of(DatabaseURL.parse(url), Path(path)))
        ends.send((0, "complete" if found.is_complete else "open"))
    except PipelineError as error:
        ends.send((getattr(error, "exit_status", error.exit_code), str(error)))


class BackfillProcess:
    """`./inv backfill` in a process of its own."""

    def __init__(self, url: DatabaseURL, folder: FolderBuilder) -> None:
        self._ends, theirs = _context.Pipe(duplex=False)
        read_folder(folder.path)
        self._process = _context.Process(target=_work, args=(url.reveal(), str(folder.path), theirs), daemon=True)
        self._process.start()
        theirs.close()

    def send(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal, where it still runs."""
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)

    def end(self) -> tuple[int, str] | None:
        """Its exit code and its last words; None where it was killed."""
        try:
            return self._ends.recv() if self._ends.poll(120) else None
        except EOFError:
            return None
        finally:
            self._process.join(60)


@contextmanager
def working(url: DatabaseURL, folder: FolderBuilder) -> Iterator[BackfillProcess]:
    """One that is ended with the block."""
    process = BackfillProcess(url, folder)
    try:
        yield process
    finally:
        process.send()
        process.end()
