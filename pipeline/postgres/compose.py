"""The server of docker-compose.yml, asked about through the `docker` command, which knows contexts and sockets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbclient.url import DatabaseURL
from pipeline.errors import ConfigurationError, DatabaseFailed
from pipeline.postgres.binaries import local_major
from servers import listens
from servers.version import MAJORS, VARIABLE
from services import DATABASE, NAME, OWNER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SERVICE = "postgres"
"""The service's name in docker-compose.yml, which is its host name for containers beside it."""

PORT = "POSTGRES_PORT"
IMAGE = "POSTGRES_IMAGE"
"""The variable that names another image than PostgreSQL's own of the wanted version, such as one with pgvector."""

_VERSIONED = re.compile(r"postgres:[0-9]{2}-alpine")
_PORTS = range(5432, 5532)  # the first that nobody uses is taken, unless POSTGRES_PORT says which
_HOST = "127.0.0.1"

_ASK_SECONDS = 5.0  # an engine that takes longer to list its containers is as good as none
_START_SECONDS = 300.0  # the image may have to come over a slow line
_HEALTHY_SECONDS = 90

# A container of this checkout, whatever its project is called: Compose labels it with the folder.
_FORMAT = '{{.State}}\t{{.Status}}\t{{.Ports}}\t{{.Image}}\t{{.Label "com.docker.compose.project"}}'


class NoCompose(ConfigurationError):
    """Docker Compose cannot run the server here. `worth_telling` is false where there is no Docker at all."""

    def __init__(self, message: str, *, remedy: str, worth_telling: bool = True) -> None:
        super().__init__(message, remedy=remedy)
        self.worth_telling = worth_telling


@dataclass(frozen=True, slots=True)
class _Container:
    healthy: bool
    running: bool
    port: int | None
    image: str
    project: str


class ComposeServer:
    """The service of the docker-compose.yml in `root`. One call of `docker ps`, about 30 ms, answers what is asked."""

    def __init__(self, root: Path, *, tell: Callable[[str], None] = lambda _: None) -> None:
        self._root = root.resolve()
        self._tell = tell
        self._seen: tuple[_Container | None] | None = None

    def running(self) -> DatabaseURL | None:
        """Give its URL when it is healthy, with the image and at the port that are asked for, if any. Starts nothing."""
        container = self._inspect()
        if container is None or not container.healthy or container.port is None:
            return None
        if os.environ.get(PORT, str(container.port)) != str(container.port):
            return None  # starting it again moves it
        if container.image != self._image() and (os.environ.get(IMAGE) or _VERSIONED.fullmatch(container.image)):
            return None  # starting it again makes it anew; a container of an edited file is left as it is
        return _url(container.port)

    def port(self) -> int | None:
        """Give the port of loopback at which its container answers now, if it runs."""
        container = self._inspect()
        return container.port if container is not None and container.running else None

    def exists(self) -> bool:
        """Tell whether this checkout has a container, running or not."""
        return self._inspect() is not None

    def start(self) -> DatabaseURL:
        """Bring it up, wait until it is healthy, and give its URL.

        Raises:
            NoCompose: there is no engine, no Compose plugin, or no way to get the image.
            ConfigurationError: its port is taken.
            DatabaseFailed: it did not get healthy.
        """
        self.require()
        image = self._image()
        of = f" {local_major(self._root)}" if _VERSIONED.fullmatch(image) else f" ({image})"
        self._tell(f"Starting PostgreSQL{of} in Docker Compose")
        port = os.environ.get(PORT) or self._choose_port()
        try:
            done = self._compose(
                "up", "--detach", "--wait", "--wait-timeout", str(_HEALTHY_SECONDS), SERVICE, port=port
            )
        except subprocess.TimeoutExpired:
            raise DatabaseFailed(
                f"`docker compose up` did not end within {_START_SECONDS:.0f} s",
                remedy="See what it waits for: docker compose up",
            ) from None
        self._seen = None
        if done.returncode != 0:
            raise _explain(done.stderr, port, image)
        url = self.running()
        if url is None:
            raise DatabaseFailed(
                "the Compose service runs, but it is not healthy", remedy=f"Look: docker compose logs {SERVICE}"
            )
        return url

    def stop(self) -> bool:
        """Stop its container and tell whether one ran. The container and its data stay."""
        container = self._inspect()
        if container is None or not container.running:
            return False
        done = self._compose("stop", SERVICE)
        self._seen = None
        if done.returncode != 0:
            raise _explain(done.stderr)
        return True

    def require(self) -> None:
        """Raise NoCompose, saying what is missing, unless an engine on this machine and the plugin answer."""
        remedy = "Start Docker with its Compose plugin, or let the embedded server be used (LOCAL_SERVER=embedded)."
        if shutil.which("docker") is None:
            raise NoCompose("Docker is not installed", remedy=remedy, worth_telling=False)
        if not _engine_is_here():
            raise NoCompose("DOCKER_HOST is another machine, whose ports are not on loopback here", remedy=remedy)
        if self._ask("version", "--format", "{{.Server.Version}}") is None:
            raise NoCompose("Docker is installed, but its engine does not answer", remedy=remedy)
        if self._ask("compose", "version", "--short") is None:
            raise NoCompose("Docker has no Compose plugin", remedy=remedy)

    def _inspect(self) -> _Container | None:
        if self._seen is None:
            self._seen = (self._find(),)
        return self._seen[0]

    def _find(self) -> _Container | None:
        if shutil.which("docker") is None or not _engine_is_here():
            return None
        folder = f"label=com.docker.compose.project.working_dir={self._root}"
        service = f"label=com.docker.compose.service={SERVICE}"
        listed = self._ask("ps", "--all", "--no-trunc", "--filter", folder, "--filter", service, "--format", _FORMAT)
        containers = [_container(line) for line in (listed or "").splitlines() if line.strip()]
        return max(containers, key=lambda each: (each.healthy, each.running), default=None)

    def _ask(self, *arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["docker", *arguments],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ASK_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        return done.stdout if done.returncode == 0 else None

    def _choose_port(self) -> str:
        """Give the port of the container that runs, else the first that is free. The next command asks Docker for it."""
        container = self._inspect()
        if container is not None and container.port is not None:
            return str(container.port)
        port = next((each for each in _PORTS if not listens(each)), _PORTS[0])
        if port != _PORTS[0]:
            self._tell(f"port {_PORTS[0]} is taken by another program: using {port}")
        return str(port)

    def _compose(self, *arguments: str, port: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "compose", "--project-directory", self._root, "--project-name", self.project(), *arguments],
            cwd=self._root,
            env={**os.environ, **self._settings(), **({PORT: port} if port else {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_START_SECONDS,
            check=False,
        )

    def _image(self) -> str:
        return os.environ.get(IMAGE) or f"postgres:{local_major(self._root)}-alpine"

    def _settings(self) -> dict[str, str]:
        """What docker-compose.yml is told: the version, and the volume whose data that image can read."""
        major = local_major(self._root)
        versioned = "data" if major == MAJORS[0] else f"data-{major}"
        names = {"DATABASE_NAME": DATABASE, "DATABASE_OWNER": OWNER}
        return {**names, VARIABLE: str(major), "POSTGRES_DATA": "data-other" if os.environ.get(IMAGE) else versioned}

    def project(self) -> str:
        """Give the project's name: that of the container which is there, such as one started by hand, or one of ours.

        Ours is made of the folder's whole path. By the last part of it, two checkouts would share their data.
        """
        container = self._inspect()
        if container is not None:
            return container.project
        import hashlib

        name = re.sub(r"[^a-z0-9_-]", "", self._root.name.lower()).lstrip("_-") or NAME
        return f"{name}-{hashlib.sha256(str(self._root).encode()).hexdigest()[:6]}"


def _url(port: int) -> DatabaseURL:
    # The password is in docker-compose.yml for all to read: the port is open on loopback only.
    return DatabaseURL(user=OWNER, password=OWNER, host=_HOST, port=port, database=DATABASE)


def _container(line: str) -> _Container:
    state, status, ports, image, project = line.split("\t")
    port = re.search(r":(\d+)->5432/tcp", ports)
    return _Container(
        healthy="(healthy)" in status,
        running=state == "running",
        port=int(port[1]) if port else None,
        image=image,
        project=project,
    )


def _engine_is_here() -> bool:
    return os.environ.get("DOCKER_HOST", "unix:").startswith(("unix:", "npipe:"))


def _explain(said: str, port: str = "", image: str = "") -> Exception:
    if re.search(r"port is already allocated|address already in use|ports are not available", said):
        return ConfigurationError(
            f"port {port} is taken by another program, or by another checkout's server",
            remedy=f"Choose another one: write {PORT}={int(port) + 1 if port.isdigit() else 5433} into .env.",
        )
    if re.search(
        r"failed to resolve reference|no such host|i/o timeout|TLS handshake|pull access denied|lookup ", said
    ):
        return NoCompose(
            f"the image {image} cannot be pulled",
            remedy=f"Check the network ({IMAGE}, if you set it), and run it again.",
        )
    from servers.processes import reason_in

    return DatabaseFailed(
        f"docker compose failed: {reason_in(said) or 'without a word'}",
        remedy=f"Look: docker compose ps, docker compose logs {SERVICE}",
    )
