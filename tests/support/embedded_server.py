"""The session's server as a process of this machine, in a folder of its own below the temporary one."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.postgres.embedded import EmbeddedServer
from pipeline.postgres.postmaster import process_exists
from tests.support.server import FAST, PostgresServer

if TYPE_CHECKING:
    from typing import Literal

_PREFIX = "chat-tests-"


class EmbeddedTestServer(PostgresServer):
    kind: Literal["docker", "embedded"] = "embedded"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._server = EmbeddedServer(folder / "server", settings=FAST)
        self.start()

    def start(self) -> None:
        record = self._server.start()
        self.superuser, self.owner = record.superuser, record.owner

    def stop(self, *, crash: bool = False) -> None:
        self._server.stop(mode="immediate" if crash else "fast")

    def remove(self) -> None:
        self._server.destroy()
        shutil.rmtree(self._folder)


def start() -> EmbeddedTestServer:
    """Starts one, after the servers of test runs that were killed are gone."""
    _remove_orphans()
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    folder.chmod(0o755)  # as root, another account runs the server
    return EmbeddedTestServer(folder)


def _remove_orphans() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and folder.stat().st_uid == os.getuid() and not process_exists(int(pid)):
            EmbeddedServer(folder / "server").destroy()
            shutil.rmtree(folder, ignore_errors=True)
