"""The empty cluster that every project starts as: initdb once, then copies."""

from __future__ import annotations

import asyncio
import shutil
import sys
from typing import TYPE_CHECKING

from emulator.servers import SUPERUSER, Cluster, ServerFailed
from emulator.servers.copying import copy_entries

if TYPE_CHECKING:
    from pathlib import Path

    from servers.account import Account

_INCLUDE = "include 'emulator.conf'\n"
_HBA = "host all all 127.0.0.1/32 scram-sha-256\n"
# As compute_tools/src of neondatabase/neon makes it (and its migrations: pg_monitor): what roles of the API are members of.
_NEON_SUPERUSER = """
    CREATE ROLE neon_superuser CREATEDB CREATEROLE NOLOGIN REPLICATION BYPASSRLS
        IN ROLE pg_read_all_data, pg_write_all_data;
    GRANT pg_monitor TO neon_superuser WITH ADMIN OPTION
"""


class Template:
    """A stopped cluster with Neon's administrative roles."""

    def __init__(self, folder: Path, programs: Path, account: Account, password: str) -> None:
        self._folder = folder
        self._programs = programs
        self._account = account
        self._password = password
        self._lock = asyncio.Lock()

    async def copy_to(self, data: Path) -> None:
        """A fresh data directory at `data`."""
        async with self._lock:
            if not (self._folder / "data").exists():
                await self._make()
        await copy_entries(self._account, self._folder / "data", data)

    async def _make(self) -> None:
        building = self._folder.with_suffix(".new")
        shutil.rmtree(building, ignore_errors=True)
        self._account.make_folder(building)
        secret = building / "password"
        self._account.write(secret, self._password)
        process = await asyncio.create_subprocess_exec(
            self._programs / "initdb",
            *("-D", str(building / "data"), "-U", SUPERUSER, "--pwfile", str(secret), "--auth", "scram-sha-256"),
            *("--encoding", "UTF8", "--locale", "C.UTF-8" if sys.platform == "linux" else "C", "--no-sync"),
            *("--wal-segsize", "1"),  # MB: a branch costs a segment, not sixteen times that
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=building,
            **self._account.spawn(),
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise ServerFailed(f"initdb: {output.decode(errors='replace').strip()}")
        secret.unlink()
        with self._account.append(building / "data" / "postgresql.conf") as configuration:
            configuration.write(_INCLUDE.encode())
        self._account.write(building / "data" / "pg_hba.conf", _HBA)
        cluster = Cluster(building, self._programs, self._account, self._password)
        await cluster.start({})
        async with await cluster.connect() as connection:
            await connection.execute(_NEON_SUPERUSER)
        await cluster.stop()
        building.rename(self._folder)
