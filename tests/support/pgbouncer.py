"""A real PgBouncer in transaction mode in front of a database, where the program is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dbclient.url import DatabaseURL

ABSENT = "PgBouncer is not on PATH (Debian: apt-get install pgbouncer)"


@pytest.fixture
def pooled() -> Iterator[Callable[..., DatabaseURL]]:
    """Give the URL of a pooler for a database's URL; `settings` go into its configuration."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip(ABSENT)
    running: list[subprocess.Popen[bytes]] = []
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    folder.chmod(0o755)  # as root it runs as another account

    def start(url: DatabaseURL, settings: Mapping[str, str] | None = None) -> DatabaseURL:
        port = _free_port()
        files = _write(folder / str(port), url, port, settings or {})
        arguments = [program, str(files / "pgbouncer.ini")]
        if os.getuid() == 0:
            arguments[1:1] = ["-u", "nobody"]
        running.append(subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        until(lambda: _listens(port))
        return url.copy_with(host="127.0.0.1", port=port)

    yield start
    for process in running:
        process.terminate()
        process.wait(10)
    shutil.rmtree(folder)


def _write(folder: Path, url: DatabaseURL, port: int, settings: Mapping[str, str]) -> Path:
    """Its configuration and the password that it checks clients against and logs in with."""
    folder.mkdir()
    lines = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": str(folder / "users.txt"),
        "pool_mode": "transaction",
        "default_pool_size": "5",
        "max_client_conn": "200",
        **settings,
    }
    (folder / "users.txt").write_text(f'"{url.user}" "{url.password}"\n')
    body = "\n".join(f"{name} = {value}" for name, value in lines.items())
    (folder / "pgbouncer.ini").write_text(f"[databases]\n* = host={url.host} port={url.port}\n\n[pgbouncer]\n{body}\n")
    return folder


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def through_pooler_works(url: DatabaseURL) -> bool:
    """Whether a query gets through; for tests that check that it was the runner that refused, and not the pooler."""
    with psycopg.connect(url.reveal(), prepare_threshold=None) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)
