"""A PostgreSQL 16 of our own for a machine without Docker: a server process on loopback that outlives the command.

Only the programs of a wheel are used. The folder keeps what the next command needs to find the server again::

    server.json    its port, its passwords and where its data is; mode 0600
    data/          the data directory (elsewhere for root when the account that runs it cannot pass to the folder)
    server.log
    lock           held while it is made, started or stopped
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import zlib
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chatdb.url import DatabaseURL
from pipeline.errors import ConfigurationError, DatabaseFailed
from pipeline.postgres import postmaster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pipeline.postgres.unprivileged import Account

HOST = "127.0.0.1"
OWNER, DATABASE = "chat_owner", "chat"
_SUPERUSER = "postgres"
_OWNER_SQL = Path(__file__).with_name("owner.sql")

# Linux hands out ports from 32768 on to outgoing connections, which would take ours while the server is down.
_PORTS = range(20000, 32768)
_PORTS_TRIED = 40
_START_SECONDS = 60


@dataclass(frozen=True)
class Record:
    """What server.json says: all that is needed to find the server again, start it and connect."""

    place: str
    port: int
    superuser_password: str
    owner_password: str
    complete: bool  # the owner and its database are made; before that, the data is scrap

    def __repr__(self) -> str:
        return f"Record(place={self.place!r}, port={self.port}, complete={self.complete})"

    @property
    def data(self) -> Path:
        """The data directory."""
        return Path(self.place) / "data"

    @property
    def superuser(self) -> DatabaseURL:
        """The URL of the superuser, to the database `postgres`."""
        return DatabaseURL(
            user=_SUPERUSER, password=self.superuser_password, host=HOST, port=self.port, database="postgres"
        )

    @property
    def owner(self) -> DatabaseURL:
        """The URL of chat_owner, to the database `chat`: what local commands use."""
        return DatabaseURL(user=OWNER, password=self.owner_password, host=HOST, port=self.port, database=DATABASE)


class EmbeddedServer:
    """The server whose files are in one folder. Nothing happens until a method is called.

    `settings` are PostgreSQL's, written when the data directory is made. `tell` hears of what takes seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, str] | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder = folder.absolute()
        self._settings = dict(settings or {})
        self._tell = tell

    def running(self) -> Record | None:
        """Its record when it accepts connections, else None. Starts nothing and takes about a millisecond."""
        record = self._read()
        return record if record and record.complete and postmaster.is_ready(record.data, record.port) else None

    def start(self) -> Record:
        """Makes the server when there is none, starts it when it is down, and gives its record.

        The port is the same each time, unless another program has taken it meanwhile.

        Raises:
            ConfigurationError: its programs cannot be had, or no account can run it.
            DatabaseFailed: it does not start; the message has the end of its log.
        """
        found = self.running()
        if found:
            return found
        from pipeline.postgres.unprivileged import account_for_server, make_folder

        make_folder(self.folder)
        with self._locked():
            found = self.running()
            if found:
                return found
            return self._start(account_for_server())

    def stop(self, *, mode: str = "fast") -> bool:
        """Stops it and gives whether it ran. `mode` is pg_ctl's: smart, fast, or immediate, which is a crash."""
        record = self._read()
        if record is None or not postmaster.is_alive(record.data):
            return False
        from pipeline.postgres.unprivileged import account_for_server

        with self._locked():
            account = account_for_server()
            done = self._run(account, record, "pg_ctl", "stop", "-D", str(record.data), "-m", mode, "-w", "-t", "60")
            if done.returncode != 0 and postmaster.is_alive(record.data):
                raise DatabaseFailed(f"the embedded server did not stop: {_last_line(done.stderr)}")
        return True

    def destroy(self) -> None:
        """Stops it and removes everything of it, data included."""
        self.stop(mode="immediate")
        record = self._read()
        if record is not None and Path(record.place) != self.folder:
            shutil.rmtree(record.place)
        shutil.rmtree(self.folder, ignore_errors=not self.folder.exists())

    # -- making and starting ------------------------------------------------------------------------------------------

    def _start(self, account: Account | None) -> Record:
        record = self._read()
        if record is None or not record.complete:
            return self._make(account)
        if not record.data.is_dir():
            raise ConfigurationError(
                f"the embedded server's data is gone: {record.data} does not exist",
                remedy=f"Remove {self.folder} to begin with an empty server.",
            )
        self._tell("Starting the embedded PostgreSQL 16")
        return self._launch(account, record)

    def _make(self, account: Account | None) -> Record:
        import secrets

        from pipeline.postgres.unprivileged import place_for

        self._tell("Making an embedded PostgreSQL 16 (once per checkout)")
        place = place_for(self.folder, account)
        record = Record(
            place=str(place),
            port=_PORTS[zlib.crc32(str(self.folder.resolve()).encode()) % len(_PORTS)],
            superuser_password=secrets.token_urlsafe(24),
            owner_password=secrets.token_urlsafe(24),
            complete=False,
        )
        if record.data.exists():
            if self._read() is None:
                raise ConfigurationError(
                    f"{record.data} is there, but {self._file} with its passwords is gone",
                    remedy=f"Move {record.data} away to begin with an empty server.",
                )
            self._stop_half_made(record, account)
        self._write(record)
        self._initdb(account, record)
        record = self._launch(account, record)
        self._make_owner(record)
        record = replace(record, complete=True)
        self._write(record)
        return record

    def _stop_half_made(self, record: Record, account: Account | None) -> None:
        if postmaster.is_alive(record.data):
            self._run(account, record, "pg_ctl", "stop", "-D", str(record.data), "-m", "immediate", "-w")
        shutil.rmtree(record.data)

    def _initdb(self, account: Account | None, record: Record) -> None:
        data, secret = record.data, Path(record.place) / "superuser"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        with open(secret, "w", opener=_private, encoding="ascii") as file:  # noqa: PTH123  the mode has to come first
            file.write(record.superuser_password)
        if account is not None:
            account.own(data)
            account.own(secret)
        settings = {
            "listen_addresses": HOST,
            "unix_socket_directories": "",  # the path of a socket must be short, and a checkout's may not be
            "password_encryption": "scram-sha-256",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self._settings,
        }
        options = [f"--set={name}={value}" for name, value in settings.items()]
        done = self._run(
            account, record, "initdb", "--pgdata", str(data), "--username", _SUPERUSER, "--auth=scram-sha-256",
            f"--pwfile={secret}", "--encoding=UTF8", "--lc-collate=C", f"--lc-ctype={_ctype()}", "--no-sync",
            "--no-instructions", *options,
        )  # fmt: skip
        secret.unlink()
        if done.returncode != 0:
            raise DatabaseFailed(f"initdb failed: {_last_line(done.stderr)}")

    def _launch(self, account: Account | None, record: Record) -> Record:
        postmaster.forget_stale(record.data)
        log = Path(record.place) / "server.log"
        log.touch(mode=0o600)
        if account is not None:
            account.own(log)
        for candidate in _candidates(record.port):
            begin = log.stat().st_size
            done = self._run(
                account, record, "pg_ctl", "start", "-D", str(record.data), "-l", str(log), "-w",
                "-t", str(_START_SECONDS), "-o", f"-p {candidate}",
            )  # fmt: skip
            if done.returncode == 0:
                started = replace(record, port=candidate)
                if started != record:
                    self._write(started)
                return started
            said = log.read_text(errors="replace")[begin:]
            if "could not bind" not in said:
                raise DatabaseFailed(
                    f"the embedded server did not start: {_last_line(said) or _last_line(done.stderr)}",
                    where=str(log),
                )
        raise DatabaseFailed(f"the embedded server found no free port in {_PORTS_TRIED} tries from {record.port} on")

    def _make_owner(self, record: Record) -> None:
        from pipeline.postgres.binaries import find_binary

        done = subprocess.run(
            [find_binary("psql"), "-X", "-q", "-h", HOST, "-p", str(record.port), "-U", _SUPERUSER, "-d", "postgres",
             "-f", _OWNER_SQL],
            env={**_environment(), "PGPASSWORD": record.superuser_password, "CHAT_OWNER_PASSWORD": record.owner_password},
            capture_output=True, text=True, timeout=_START_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise DatabaseFailed(
                f"the role {OWNER} could not be made: {_last_line(done.stderr)}", where=str(_OWNER_SQL)
            )

    def _run(
        self, account: Account | None, record: Record, name: str, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        from pipeline.postgres.binaries import installation
        from pipeline.postgres.unprivileged import programs_for

        program = programs_for(installation(), Path(record.place), account) / name
        return subprocess.run(
            [program, *arguments],
            cwd=record.place,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * _START_SECONDS,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )

    # -- what is remembered -------------------------------------------------------------------------------------------

    @property
    def _file(self) -> Path:
        return self.folder / "server.json"

    def _read(self) -> Record | None:
        try:
            record = Record(**json.loads(self._file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise ConfigurationError(
                "the embedded server's record cannot be read",
                where=str(self._file),
                remedy=f"Remove {self.folder} to begin with an empty server.",
            ) from error
        # Its own folder is written as ".", so that a checkout can be moved.
        return replace(record, place=str(self.folder / record.place))

    def _write(self, record: Record) -> None:
        new = self._file.with_suffix(".new")
        new.unlink(missing_ok=True)
        with open(new, "w", opener=_private, encoding="utf-8") as file:  # noqa: PTH123  the mode has to come first
            json.dump(
                {**asdict(record), "place": "." if Path(record.place) == self.folder else record.place}, file, indent=1
            )
        new.replace(self._file)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        import fcntl

        with open(self.folder / "lock", "a", opener=_private, encoding="utf-8") as file:  # noqa: PTH123  as above
            fcntl.flock(file, fcntl.LOCK_EX)  # given up by the kernel when its holder dies
            yield


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _candidates(first: int) -> Iterator[int]:
    """Ports from `first` on where nothing answers; binding one may still fail."""
    start = _PORTS.index(first)
    for step in range(_PORTS_TRIED):
        port = _PORTS[(start + step) % len(_PORTS)]
        with socket.socket() as probe:
            probe.settimeout(1)
            taken = probe.connect_ex((HOST, port)) == 0
        if not taken:
            yield port


def _ctype() -> str:
    """What tells letters from signs: Neon's C.UTF-8 where the machine has it."""
    import locale

    before = locale.setlocale(locale.LC_CTYPE)
    for name in ("C.UTF-8", "en_US.UTF-8"):
        try:
            locale.setlocale(locale.LC_CTYPE, name)
        except locale.Error:
            continue
        locale.setlocale(locale.LC_CTYPE, before)
        return name
    return "C"


def _environment() -> dict[str, str]:
    # A PGDATA or PGHOST of the caller's is meant for another server.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
