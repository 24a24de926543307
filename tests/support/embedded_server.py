"""The session's server as a process of this machine, in a folder of its own, in memory or below the temporary one."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError
from pipeline.postgres.binaries import embedded_major, install_complete
from pipeline.postgres.embedded import EmbeddedServer
from tests.support.run_folders import make_folder, remove_left
from tests.support.server import FAST, RestartableServer

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

_PREFIX = "db-tests"


class EmbeddedTestServer(RestartableServer):
    kind: Literal["docker", "embedded"] = "embedded"

    def __init__(self, folder: Path, major: int | None = None) -> None:
        super().__init__()
        self._folder = folder
        self._server = EmbeddedServer(folder / "server", settings=FAST, major=major)
        with suppress(ConfigurationError):  # without the network: tests that need an extension are skipped, and say so
            install_complete(major or embedded_major())
        self.start()

    def start(self) -> None:
        record = self._server.start()
        self.superuser, self.owner = record.superuser, record.owner

    def stop(self, *, crash: bool = False) -> None:
        self._let_go()
        self._server.stop(mode="immediate" if crash else "fast")

    def remove(self) -> None:
        self._let_go()
        _remove(self._folder)


def start() -> EmbeddedTestServer:
    """Starts one, after the servers of test runs that were killed are gone."""
    remove_left(_PREFIX, _remove)
    return EmbeddedTestServer(make_folder(_PREFIX))


def _remove(folder: Path) -> None:
    EmbeddedServer(folder / "server").destroy()
    shutil.rmtree(folder)
