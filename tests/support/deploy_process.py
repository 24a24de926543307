"""Deploys in processes of their own, which a test may kill at any instant."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dbclient.url import DatabaseURL
from pipeline.deploy import apply
from pipeline.deploy.locking import Deadlines
from pipeline.deploy.rehearsed import Evidence
from pipeline.deploy.signals import as_exceptions
from pipeline.deploy.target import Target
from pipeline.errors import PipelineError
from pipeline.migrations import read_folder

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

_WAIT = 120.0  # seconds

# A server that forks: each deploy starts in milliseconds, and from a process without threads.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.support.deploy_process"])


@dataclass(frozen=True)
class Outcome:
    """How a deploy ended: the ids that it applied, or the error with its exit code."""

    applied: tuple[str, ...] = ()
    error: str = ""
    exit_code: int = 0


def _deploy(url: str, folder: str, root: str, lock_wait: float, results: Connection, start: Any) -> None:
    if start is not None:
        start.wait(_WAIT)
    try:
        with as_exceptions():
            target = Target("prod", permit=Evidence(Path(root)).permit) if root else None
            deadlines = Deadlines(connect=90, lock=lock_wait)
            report = apply(DatabaseURL.parse(url), read_folder(folder), target=target, deadlines=deadlines)
        results.send(Outcome(tuple(each.id for each in report.applied)))
    except PipelineError as error:
        results.send(Outcome(error=str(error), exit_code=getattr(error, "exit_status", error.exit_code)))


class DeployProcess:
    """One deploy that runs by itself."""

    def __init__(self, url: DatabaseURL, folder: Path, *, root: str, lock_wait: float, start: Any) -> None:
        self._results, theirs = _context.Pipe(duplex=False)
        self._process: BaseProcess = _context.Process(
            target=_deploy, args=(url.reveal(), str(folder), root, lock_wait, theirs, start), daemon=True
        )
        self._process.start()
        theirs.close()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal."""
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)

    def outcome(self) -> Outcome | None:
        """Wait for its end; None when it was killed before it could say how it went."""
        try:
            result = self._results.recv() if self._results.poll(_WAIT) else None
        except EOFError:
            result = None
        self._process.join(_WAIT)
        if self._process.is_alive():
            raise TimeoutError("the deploy did not end")
        return result if isinstance(result, Outcome) else None


class Processes:
    """Starts deploys, and kills at the end what still runs."""

    def __init__(self) -> None:
        self._started: list[DeployProcess] = []

    def start(
        self, url: DatabaseURL, folder: Path, *, prod: Path | None = None, lock_wait: float = 60.0, barrier: Any = None
    ) -> DeployProcess:
        """Start a deploy of a folder; with a barrier it waits there for the others.

        `prod` is the checkout whose settings say what its environment prod asks for.
        """
        process = DeployProcess(url, folder, root=str(prod or ""), lock_wait=lock_wait, start=barrier)
        self._started.append(process)
        return process

    def barrier(self, parties: int) -> Any:
        """A barrier for so many deploys."""
        return _context.Barrier(parties)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.kill()
            process.outcome()
