"""Folders that stand for checkouts, and a world without the variables of whoever runs the tests."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.environments.local import LocalServers
from tests.support import docker_server

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
_VARIABLES = (
    "DATABASE_URL", "LOCAL_SERVER", "POSTGRES_PORT", "POSTGRES_MAJOR", "POSTGRES_IMAGE",
    "PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSSLMODE", "PGSSLROOTCERT",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _VARIABLES:
        # set before it is deleted, so that what a test reads from .env is taken back as well
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A folder with what the local servers need. Its embedded server is removed afterwards."""
    owner = Path("pipeline/postgres/owner.sql")
    (tmp_path / owner).parent.mkdir(parents=True)
    shutil.copy(REPOSITORY / owner, tmp_path / owner)
    shutil.copy(REPOSITORY / "docker-compose.yml", tmp_path)
    yield tmp_path
    LocalServers(tmp_path).embedded.destroy()


@pytest.fixture
def without_docker(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A PATH on which there is no `docker`."""
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))


@pytest.fixture
def with_compose(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A machine with Docker Compose, and the port that POSTGRES_PORT names. Containers and data are removed."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode != 0 or not docker_server.is_possible():
        pytest.skip(f"Docker with its Compose plugin and {docker_server.IMAGE} is not on this machine")
    port = _free_port()
    monkeypatch.setenv("POSTGRES_PORT", str(port))
    yield port
    project = LocalServers(checkout).compose.project()
    subprocess.run(
        ["docker", "compose", "--project-name", project, "down", "--volumes", "--timeout", "5"],
        cwd=checkout,
        capture_output=True,
        check=True,
    )


def _free_port() -> int:
    for port in random.sample(range(21000, 32000), 200):  # workers beside this one look for one as well
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("no free port")
