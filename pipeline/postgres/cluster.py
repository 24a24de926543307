"""PostgreSQL's own programs at work on a data directory: initdb, pg_ctl, and psql for the owner."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import DatabaseFailed
from pipeline.postgres.binaries import installation
from pipeline.postgres.record import HOST, SUPERUSER, Record
from pipeline.postgres.unprivileged import programs_for
from servers import listens, pid_file, write_private
from servers.installation import find_complete, is_complete
from servers.processes import reason_in
from services import DATABASE, OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from servers.account import Account

PORTS = range(20000, 32768)
"""Linux hands out ports from 32768 on to outgoing connections, which would take a server's while it is down."""

_PORTS_TRIED = 40
_FIRST_PORT_SECONDS = 1.0
_SECONDS = 60
# Where programs, temporary files and the loader's libraries are (macOS: DYLD_…).
_PASSED_ON = ("PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")
_OWNER_SQL = Path(__file__).with_name("owner.sql")


@dataclass(frozen=True)
class Cluster:
    """The data directory of a record, the account that its server runs as, and its major version."""

    record: Record
    account: Account
    major: int

    @cached_property
    def programs(self) -> Path:
        """The folder of its programs: the complete server's, where that is installed."""
        return programs_for(installation(self.major), find_complete(self.major), self.account)

    @property
    def has_extensions(self) -> bool:
        """Whether it has PostgreSQL's own extensions, TLS and ICU."""
        return is_complete(self.programs)

    def initialise(self, settings: Mapping[str, str]) -> None:
        """Make the data directory anew: password authentication everywhere, TCP on loopback only."""
        data, secret = self.record.data, self.record.place / "superuser"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        write_private(secret, self.record.superuser_password)
        for path in (data, secret):
            self.account.own(path)
        settings = {
            "listen_addresses": HOST,
            "unix_socket_directories": "",  # a socket's path must be short, and a checkout's may not be
            "timezone": "UTC",
            "log_timezone": "UTC",
            **settings,
        }
        done = self._run(
            "initdb",
            f"--pgdata={data}",
            f"--username={SUPERUSER}",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--lc-collate=C",
            f"--lc-ctype={_ctype()}",
            "--no-sync",
            "--no-instructions",
            *(f"--set={name}={value}" for name, value in settings.items()),
        )
        secret.unlink()
        if done.returncode != 0:
            reason = reason_in(done.stderr) or f"exit code {done.returncode}"
            raise DatabaseFailed(f"initdb failed: {reason}", where=str(data), remedy=_remedy(reason))

    def start(self) -> int:
        """Start the server, wait until it is ready, and give its port: the record's, or the next free one."""
        pid_file.forget_stale(self.record.data)
        log = self.record.log
        log.touch(mode=0o600)
        self.account.own(log)
        # As Neon's servers are: the extension's view fails without its library.
        preloaded = "-c shared_preload_libraries=pg_stat_statements" if self.has_extensions else ""
        for port in _free_ports(self.record.port):
            begin = log.stat().st_size
            done = self._run(
                "pg_ctl", "start", f"--pgdata={self.record.data}", f"--log={log}", "--wait", f"--timeout={_SECONDS}",
                "--options", f"-p {port} {preloaded}",
            )  # fmt: skip
            if done.returncode == 0:
                return port
            said = log.read_text(errors="replace")[begin:]
            if "could not bind" not in said:
                reason = reason_in(said) or reason_in(done.stderr)
                raise DatabaseFailed(
                    f"the embedded server did not start: {reason}", where=str(log), remedy=_remedy(reason)
                )
        raise DatabaseFailed(f"no free port in {_PORTS_TRIED} tries from {self.record.port} on")

    def stop(self, mode: str) -> None:
        """Stop the server in pg_ctl's mode and wait until it has ended."""
        done = self._run(
            "pg_ctl", "stop", f"--pgdata={self.record.data}", f"--mode={mode}", "--wait", f"--timeout={_SECONDS}"
        )
        if done.returncode != 0 and pid_file.is_alive(self.record.data):
            raise DatabaseFailed(
                f"the embedded server did not stop: {reason_in(done.stderr)}", where=str(self.record.log)
            )

    def make_owner(self, port: int) -> None:
        """Make the owner and its database, on the server that runs at this port."""
        psql = str(installation(self.major) / "bin" / "psql")
        address = ["-h", HOST, "-p", str(port), "-U", SUPERUSER, "-d", "postgres"]
        given = {
            "PGPASSWORD": self.record.superuser_password,
            "DATABASE_OWNER_PASSWORD": self.record.owner_password,
            "DATABASE_OWNER": OWNER,
            "DATABASE_NAME": DATABASE,
        }
        done = subprocess.run(
            [psql, "-X", "-q", *address, "-f", str(_OWNER_SQL)],
            env={**_environment(), **given},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            reason = reason_in(done.stderr)
            raise DatabaseFailed(
                f"the role {OWNER} could not be made: {reason}",
                where=str(_OWNER_SQL),
                remedy=_remedy(reason) or f"The server's log: {self.record.log}",
            )

    def _run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.programs / name, *arguments],
            cwd=self.record.place,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * _SECONDS,
            check=False,
            **self.account.spawn() | {"env": _environment()},
        )


def _free_ports(first: int) -> Iterator[int]:
    """Yield ports from `first` on where nothing answers; binding one may still fail.

    The first is waited for a little: processes of a server that was killed may hold it until they notice.
    """
    start, deadline = PORTS.index(first), time.monotonic() + _FIRST_PORT_SECONDS
    while listens(first) and time.monotonic() < deadline:
        time.sleep(0.02)
    for step in range(_PORTS_TRIED):
        port = PORTS[(start + step) % len(PORTS)]
        if not listens(port):
            yield port


def _ctype() -> str:
    """Give the locale that tells letters from signs: Neon's C.UTF-8, where the machine has it."""
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
    """Give what the server and its programs get of the caller's variables, which are there to see as long as it runs.

    An allow-list: the others may be secrets of this shell or of `.env`, or name another server, as PGDATA would.
    """
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"LC_ALL": "C"}


def _remedy(reason: str) -> str:
    if "No space left" in reason or "Disk quota" in reason:
        return "The disk is full: make room, then run it again."
    return ""
