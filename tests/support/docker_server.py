"""The session's server as a container, through testcontainers: with its data in memory, or on a volume that lasts."""

from __future__ import annotations

import os
import platform
import random
import shutil
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from dbclient.url import DatabaseURL
from servers.processes import process_exists
from servers.version import wanted_major
from services import DATABASE, OWNER
from tests.support.server import FAST, PostgresServer, RestartableServer

if TYPE_CHECKING:
    from typing import Literal

    from testcontainers.community.postgres import PostgresContainer

IMAGE = f"postgres:{wanted_major()}-alpine"
_PASSWORD = "postgres"
_OWNER_PASSWORD = "owner"
_OWNER_SQL = Path(__file__).parents[2] / "pipeline" / "postgres" / "owner.sql"
_DATA = "/var/lib/postgresql/data"
_LABEL = "db-pipeline.test-run"  # host and process of the run that started the container
_PORTS = range(20000, 32768)  # below those that outgoing connections are given


@cache
def is_possible() -> bool:
    """Whether an engine answers that has the image or can get it."""
    return shutil.which("docker") is not None and _docker("version", seconds=10) and _has(IMAGE)


def start() -> DockerTestServer:
    """Starts one, after the containers of test runs that were killed are gone."""
    _prepare()
    return DockerTestServer()


def start_restartable() -> RestartableDockerTestServer:
    """Starts one that may be stopped and started again. It takes longer to make databases."""
    _prepare()
    return RestartableDockerTestServer()


def _prepare() -> None:
    # Read when testcontainers is imported. Inside a container it would otherwise guess the bridge's address.
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
    from testcontainers.core.config import testcontainers_config

    testcontainers_config.sleep_time = 0.1  # seconds between two looks whether it is ready; the default is 1
    testcontainers_config.max_tries = 1200  # so two minutes in all, as by default: a busy machine needs them
    if not _has(testcontainers_config.ryuk_image, seconds=30):
        # Ryuk removes what a killed run leaves. Where its image cannot be had, the next run does.
        testcontainers_config.ryuk_disabled = True
    _remove_orphans()


class DockerTestServer(PostgresServer):
    kind: Literal["docker", "embedded"] = "docker"

    _in_memory = True

    def __init__(self) -> None:
        super().__init__()
        self._container, port = _run_container(in_memory=self._in_memory)
        # The address is the engine's: not loopback when DOCKER_HOST is another machine.
        host = self._container.get_container_host_ip()
        place = DatabaseURL(host="127.0.0.1" if host == "localhost" else host, port=port)
        self.superuser = place.copy_with(user="postgres", password=_PASSWORD, database="postgres")
        self.owner = place.copy_with(user=OWNER, password=_OWNER_PASSWORD, database=DATABASE)
        self._wait()

    def remove(self) -> None:
        self._let_go()
        self._container.stop()

    def _wait(self) -> None:
        # Docker's proxy accepts connections before the server does, and then closes them.
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.owner.reveal(), connect_timeout=5).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return


class RestartableDockerTestServer(DockerTestServer, RestartableServer):
    """Its data is on the image's volume: a tmpfs is empty after a restart."""

    _in_memory = False

    def start(self) -> None:
        self._container.get_wrapped_container().start()
        self._wait()

    def stop(self, *, crash: bool = False) -> None:
        self._let_go()
        container = self._container.get_wrapped_container()
        if crash:
            container.kill()
            container.wait()
        else:
            container.stop(timeout=30)


def _run_container(*, in_memory: bool) -> tuple[PostgresContainer, int]:
    """The container, ready, and its port: chosen here, since Docker would choose another one at each restart."""
    from docker.errors import APIError
    from testcontainers.community.postgres import PostgresContainer

    for attempt in range(20):
        port = random.choice(_PORTS)  # noqa: S311  no secret
        container = (
            PostgresContainer(IMAGE, username="postgres", password=_PASSWORD, dbname="postgres", driver=None)
            .with_env("DATABASE_NAME", DATABASE)
            .with_env("DATABASE_OWNER", OWNER)
            .with_env("DATABASE_OWNER_PASSWORD", _OWNER_PASSWORD)
            .with_volume_mapping(_OWNER_SQL, "/docker-entrypoint-initdb.d/owner.sql")
            .with_command(["postgres", *(part for item in FAST.items() for part in ("-c", "=".join(item)))])
            .with_kwargs(labels={_LABEL: f"{platform.node()}/{os.getpid()}"})
        )
        if in_memory:
            container.with_tmpfs_mount(_DATA)
        # On loopback alone, unless the engine is another machine's; with_bind_ports takes no address.
        here = os.environ.get("DOCKER_HOST", "unix:").startswith("unix:")
        container.ports["5432"] = ("127.0.0.1", port) if here else port  # type: ignore[assignment]
        try:
            container.start()
        except APIError as error:
            container.stop()
            if "port is already allocated" not in str(error) and "address already in use" not in str(error):
                raise
            if attempt == 19:
                raise
        else:
            return container, port
    raise AssertionError("unreachable")


def _remove_orphans() -> None:
    listed = subprocess.run(
        ["docker", "ps", "--all", "--filter", f"label={_LABEL}", "--format", f'{{{{.ID}}}} {{{{.Label "{_LABEL}"}}}}'],
        capture_output=True,
        text=True,
        check=True,
    )
    for line in listed.stdout.splitlines():
        container, _, run = line.partition(" ")
        host, _, pid = run.rpartition("/")
        if host == platform.node() and pid.isdigit() and not process_exists(int(pid)):
            _docker("rm", "--force", "--volumes", container, seconds=60)


def _has(image: str, *, seconds: float = 300) -> bool:
    return _docker("image", "inspect", image, seconds=10) or _docker("pull", "--quiet", image, seconds=seconds)


def _docker(*arguments: str, seconds: float) -> bool:
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, timeout=seconds, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False
