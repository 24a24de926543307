"""A process that deploys, statement by statement, and kills itself where it is told: `python -m pipeline.rehearsal.doomed`.

It is told on standard input, since there is a password in it. Nothing of Python runs any more behind a SIGKILL: what the server
then finds is what a machine leaves that loses its power.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from dbclient.url import DatabaseURL
from pipeline.deploy.locking import Deadlines
from pipeline.migrations import read_folder
from pipeline.migrations.script import Kind
from pipeline.postgres.session import Session
from pipeline.rehearsal.measuring import Listener, measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.migrations import MigrationFile
    from pipeline.postgres.session import Result
    from pipeline.rehearsal.values import StatementMeasurement

_PATIENT = Deadlines(lock=120.0)


def main() -> None:
    """Deploy through the file, and die at the point: behind a statement of it, or outside a transaction behind a message."""
    told = json.load(sys.stdin)
    folder = read_folder(told["folder"])
    file = folder.by_id[told["file"]]
    death = _Death(file, told["point"])
    if file.forward.kind is Kind.CONCURRENT:
        _die_behind_messages(death)
    through = replace(folder, files=folder.files[: folder.files.index(file) + 1])
    measure(DatabaseURL.parse(told["url"]), through, deadlines=_PATIENT, listener=death)


class _Death(Listener):
    """Comes at one point of one file; at 0 never."""

    def __init__(self, file: MigrationFile, point: int) -> None:
        self._file = file
        self._left = point
        self.is_at_the_file = False

    def running(self, migration: str) -> None:
        self.is_at_the_file = migration == self._file.id

    def measured(self, migration: str, statement: StatementMeasurement, pid: int) -> None:  # noqa: ARG002 - what it did
        if migration == self._file.id and not statement.observed:
            self.comes_nearer()

    def comes_nearer(self) -> None:
        """One statement, or message, less."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _die_behind_messages(death: _Death) -> None:
    """Count what the deploy's own session, the first that sends anything, is answered."""
    run = Session.run
    first: list[Session] = []

    def counted(self: Session, sql: str, on_result: Callable[[Result], None] | None = None) -> list[Result]:
        first.append(self)
        results = run(self, sql, on_result)
        if death.is_at_the_file and self is first[0]:
            death.comes_nearer()
        return results

    Session.run = counted  # type: ignore[method-assign]  # this process does nothing else


if __name__ == "__main__":
    main()
