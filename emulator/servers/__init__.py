"""One data directory and the server process on it."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg

from servers import free_port
from servers.installation import is_complete
from servers.processes import FoundProcess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from servers.account import Account

SUPERUSER = "cloud_admin"
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
# What comes next when a signal did not end a server in time: its processes end when the first one is gone.
_HARDER = {signal.SIGINT: signal.SIGQUIT, signal.SIGQUIT: signal.SIGKILL}
_GLANCE = 0.01
_TRIES = 8
_PAUSE = 0.25
# Faults that pass: a port that was taken meanwhile, sessions of a killed server that have not ended yet.
_PASSING = ("could not bind", "is still in use")

# Written before each start, so a copied directory never keeps its parent's identity.
_SETTINGS_FILE = "emulator.conf"
_BASE_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "104",  # a fixed 0.25 CU on Neon
    "max_wal_senders": "4",
    "shared_buffers": "32MB",
    "max_wal_size": "1GB",
    # The log is the branch's history: it stays until the emulator removes it, and no file of it becomes another.
    "wal_keep_size": "1000000GB",
    "wal_recycle": "off",
    "wal_init_zero": "off",
    "fsync": "off",  # survives a killed process, not a power cut
    "idle_in_transaction_session_timeout": "5min",  # Neon's default
    "password_encryption": "scram-sha-256",
    "timezone": "GMT",
    "log_timezone": "GMT",
    "logging_collector": "off",
}


class ServerFailed(Exception):
    """A server did not start or stop; the message ends with what its log says."""


class Cluster:
    """A server: started, stopped, found again after the emulator was killed, and asked things as superuser."""

    def __init__(self, folder: Path, programs: Path, account: Account, password: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.lock = asyncio.Lock()
        self.port = 0
        self._ready_for_clients = False
        self._programs = programs
        self._account = account
        self._password = password
        self._process: asyncio.subprocess.Process | None = None  # of our own
        self._found: FoundProcess | None = None  # of a killed emulator

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        if self._process is not None:
            return self._process.returncode is None
        return self._found is not None and self._found.alive

    @property
    def available(self) -> bool:
        """Whether it takes connections: alive, and neither starting nor stopping."""
        return self._ready_for_clients and self.running

    async def start(self, identity: Mapping[str, str], *, seconds: float = _START_SECONDS) -> None:
        """Start the server with these settings, on a port of its own choice, and wait until it takes connections."""
        if await self.adopt():
            return
        for attempt in range(_TRIES):
            try:
                await self._start_once(identity, seconds)
            except ServerFailed as failure:
                if attempt == _TRIES - 1 or not any(words in str(failure) for words in _PASSING):
                    raise
                await asyncio.sleep(_PAUSE)
            else:
                self._ready_for_clients = True
                return

    async def _start_once(self, identity: Mapping[str, str], seconds: float) -> None:
        port = free_port()
        preloaded = {"shared_preload_libraries": "pg_stat_statements"} if is_complete(self._programs) else {}
        settings = _BASE_SETTINGS | preloaded | dict(identity) | {"port": str(port)}
        lines = [f"{name} = '{_quoted(value)}'\n" for name, value in settings.items()]
        path = self.data / _SETTINGS_FILE
        self._account.write(path, "".join(lines))
        log_path = self.folder / "server.log"
        with self._account.append(log_path) as log:
            begin = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                self._programs / "postgres",
                "-D",
                self.data,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                start_new_session=True,  # Ctrl-C on a terminal is the emulator's to handle
                **self._account.spawn(),
            )
        self._found, self.port = None, port
        try:
            async with asyncio.timeout(seconds):
                while not self._ready():
                    if not self.running:
                        raise ServerFailed(
                            f"the server of {self.folder.name} ended: {_tail(self._account.read(log_path, begin))}"
                        )
                    await asyncio.sleep(_GLANCE)
        except TimeoutError:
            await self.stop(immediate=True)
            raise ServerFailed(
                f"the server of {self.folder.name} did not start: {_tail(self._account.read(log_path, begin))}"
            ) from None
        except asyncio.CancelledError:  # whoever comes next would take it for one that is ready
            await self.stop(immediate=True)
            raise

    def _ready(self) -> bool:
        pid_file = self._pid_file()
        return (
            len(pid_file) > 7
            and self._process is not None
            and pid_file[0] == str(self._process.pid)
            and pid_file[7].strip() == "ready"
        )

    def _pid_file(self) -> list[str]:
        return self._account.read(self.data / "postmaster.pid").splitlines()

    async def _adopt(self) -> bool:
        """Take over a server that a killed emulator left behind, when it proves to be the one of this directory."""
        pid_file = self._pid_file()
        if len(pid_file) < 4 or not pid_file[3].isdecimal():
            return False
        process = FoundProcess.find(pid_file[0], self._account, self.data)
        if process is None:
            return False
        self._process, self._found, self.port = None, process, int(pid_file[3])
        try:
            async with await self.connect() as connection:
                cursor = await connection.execute("SHOW data_directory")
                found = await cursor.fetchone()
        except psycopg.Error:
            found = None
        if found is not None and self._is_here(str(found[0])):
            return True
        self._found = None
        return False

    def _is_here(self, directory: str) -> bool:
        return self.data.samefile(directory)

    async def adopt(self) -> bool:
        """Whether a server of a killed emulator runs here; if so it is ours again."""
        if not self.running and not await self._adopt():
            return False
        self._ready_for_clients = True
        return True

    async def stop(self, *, immediate: bool = False) -> None:
        """Stop the server: sessions get 57P01, or nothing at all when immediate. Returns when the process is gone."""
        if not self.running:
            return
        self._ready_for_clients = False
        await self._end(signal.SIGQUIT if immediate else signal.SIGINT)
        self._found, self._process = None, None

    async def suspend(self) -> None:
        """Stop as Neon's computes do: sessions end with 57P01, and unlogged tables lose their rows.

        The checkpoint makes the recovery that follows a crash short, and all that was committed safe.
        """
        if not self.available:
            await self.stop()
            return
        async with await self.connect() as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            await connection.execute("CHECKPOINT")
        await self.stop(immediate=True)

    async def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
        elif self._found is not None:
            self._found.send(number)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._gone()
        except TimeoutError:
            harder = _HARDER.get(number)
            if harder is None:
                raise ServerFailed(f"the server of {self.folder.name} does not stop") from None
            await self._end(harder)

    async def _gone(self) -> None:
        if self._process is not None:
            await self._process.wait()
        while self.running:  # noqa: ASYNC110 - nothing tells of the end of a process that is not our child
            await asyncio.sleep(_GLANCE)

    async def connect(self, database: str = "postgres") -> psycopg.AsyncConnection[Any]:
        """A connection as the superuser, in autocommit, past the front door."""
        return await psycopg.AsyncConnection.connect(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            password=self._password,
            dbname=database,
            connect_timeout=10,
            autocommit=True,
            application_name="control-plane",
        )


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")


def _tail(log: str) -> str:
    return log[-1500:].strip()
