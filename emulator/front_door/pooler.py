"""What is behind the pooled door of an endpoint: PgBouncer in transaction mode, as on Neon, where it is installed.

It connects through the direct door, so it wakes the server and is suspended like any client. Without the program, the
pooled door leads to the server itself: a session then keeps what a pooler would take from it (docs/emulator.md).
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.front_door import Closed
from emulator.servers import SUPERUSER
from servers import free_port, listens
from servers.processes import FoundProcess

if TYPE_CHECKING:
    from emulator.front_door.protocol import Startup
    from servers.account import Account

_START_SECONDS = 10.0
_GLANCE = 0.01
# As Neon runs it (its documentation, "Connection pooling"); the pool is 0.9 of max_connections.
_SETTINGS = {
    "pool_mode": "transaction",
    "default_pool_size": "93",
    "max_client_conn": "1000",
    "query_wait_timeout": "120",
    "auth_type": "scram-sha-256",
    "auth_user": SUPERUSER,
    "ignore_startup_parameters": "extra_float_digits",
    "server_tls_sslmode": "disable",
    "listen_addr": "127.0.0.1",
    "unix_socket_dir": "",
}


def refuse_options(startup: Startup) -> str | None:
    """Why Neon's pooler refuses a session: it takes no settings in `options`."""
    options = startup.parameters.get("options", "")
    if "-c" in options or "--" in options:
        return "unsupported startup parameter in options"
    return None


class Pooler:
    """One PgBouncer, started when the first client comes."""

    def __init__(self, program: Path, folder: Path, account: Account, password: str) -> None:
        self._program = program
        self._folder = folder
        self._account = account
        self._password = password
        self._process: asyncio.subprocess.Process | None = None
        self._port = 0
        self._lock = asyncio.Lock()

    async def start(self, server_port: int) -> int:
        """The port of the running pooler, whose servers are reached at `server_port`."""
        async with self._lock:
            if self._process is None or self._process.returncode is not None:
                await self._start(server_port)
        return self._port

    async def _start(self, server_port: int) -> None:
        remove_leftover(self._folder, self._account)
        self._account.make_folder(self._folder)
        self._port = free_port()
        settings = _SETTINGS | {
            "listen_port": str(self._port),
            "auth_file": str(self._folder / "users"),
            "pidfile": str(self._folder / "pid"),
        }
        if await self._keeps_prepared_statements():
            settings["max_prepared_statements"] = "1000"
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        self._write("users", f'"{SUPERUSER}" "{self._password}"\n')
        head = f"[databases]\n* = host=127.0.0.1 port={server_port}\n[pgbouncer]\n"
        configuration = self._write("configuration", head + "".join(lines))
        with self._account.append(self._folder / "log") as log:
            self._process = await asyncio.create_subprocess_exec(
                self._program,
                configuration,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
                **self._account.spawn(),
            )
        ready = False
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_START_SECONDS):
                    ready = await self._listens(self._process)
        finally:
            if not ready:  # also where the client was dropped: the next one would take it for one that is ready
                await self._kill()
        if not ready:
            raise Closed(f"the pooler did not start: see {self._folder / 'log'}")

    async def _listens(self, process: asyncio.subprocess.Process) -> bool:
        """Wait until it does; false when it has ended instead."""
        while not listens(self._port):
            if process.returncode is not None:
                return False
            await asyncio.sleep(_GLANCE)
        return True

    async def _keeps_prepared_statements(self) -> bool:
        """Whether this PgBouncer keeps them for its clients (since 1.21), as Neon's does."""
        process = await asyncio.create_subprocess_exec(self._program, "--version", stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        found = re.search(rb"(\d+)\.(\d+)", output)
        return found is not None and (int(found[1]), int(found[2])) >= (1, 21)

    def _write(self, name: str, text: str) -> Path:
        path = self._folder / name
        self._account.write(path, text)
        return path

    async def close(self) -> None:
        """Stop the pooler, and one that a killed emulator left."""
        await self._kill()
        remove_leftover(self._folder, self._account)

    async def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


def remove_leftover(folder: Path, account: Account) -> None:
    """End the pooler that a killed emulator left, and remove its folder: it knows passwords and ports that may be old."""
    leftover = FoundProcess.find(account.read(folder / "pid").strip(), account, folder)
    if leftover is not None:
        leftover.send(signal.SIGKILL)
        leftover.close()
    shutil.rmtree(folder, ignore_errors=True)


def find_pooler() -> Path | None:
    """PgBouncer, if it is on PATH or where Debian puts it."""
    found = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    return Path(found) if found else None
