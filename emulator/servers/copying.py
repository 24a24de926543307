"""Branching: a consistent copy of a data directory while its server runs.

This is PostgreSQL's low-level base backup. The files are copied while they change, which is safe because the copy
starts as a recovery: the backup label tells it where to begin, and the log written during the copy (kept from being
recycled by a temporary replication slot) brings every file to the moment at which the backup ended. A commit that was
acknowledged before the copy began is in it; a transaction that was open when it ended is rolled back in it.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

from emulator.servers import log_position
from emulator.servers.log_position import Segment

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from emulator.servers import Cluster
    from servers.account import Account

# What a base backup leaves out: the process's own files, and what start-up empties or makes anew
# (PostgreSQL's documentation, "Backing Up the Data Directory"). pg_control goes last, see _copy_control.
_LEFT_OUT = {"postmaster.pid", "postmaster.opts", "pg_wal", "global", "backup_label", "tablespace_map"}
_EMPTIED = {
    "pg_dynshmem", "pg_notify", "pg_replslot", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans",
}  # fmt: skip
_VANISHED = re.compile(r"No such file or directory$")
_SLOT: LiteralString = "SELECT pg_create_physical_replication_slot('branch_' || pg_backend_pid(), true, true)"


class CopyFailed(Exception):
    """The copy could not be made; the message is what the copying program said."""


@dataclass(frozen=True)
class Copy:
    """What a copy holds: the state at `position`, once the log from `first` to `last` is replayed on it.

    `committed` is the server's account of finished transactions when the copy ended (see COMMITTED).
    """

    position: int
    first: Segment
    last: Segment
    committed: str


# Equal at two moments: no transaction that wrote anything has ended in between.
COMMITTED: LiteralString = "SELECT pg_current_snapshot()::text"


async def copy_branch(source: Cluster, target: Path, account: Account) -> Copy:
    """Copy the data directory of a running server to `target` (absent or half-made)."""
    shutil.rmtree(target, ignore_errors=True)
    account.make_folder(target)
    async with await source.connect() as connection:
        await connection.execute(_SLOT)
        await connection.execute("SELECT pg_backup_start('branch', fast => true)")
        await _copy_files(account, source.data, target)
        cursor = await connection.execute(
            "SELECT lsn::text, pg_walfile_name(lsn), labelfile FROM pg_backup_stop(wait_for_archive => false)"
        )
        found = await cursor.fetchone()
        if found is None:
            raise CopyFailed("the backup did not end")
        position, last_name, label = (str(value) for value in found)
        first_name = re.search(r"\(file ([0-9A-F]{24})\)", label)
        first, last = Segment.parse(first_name[1] if first_name else ""), Segment.parse(last_name)
        if first is None or last is None:
            raise CopyFailed("the backup label names no log file")
        await _copy_log(account, source.data, target, first.name, last.name)
        found = await (await connection.execute(COMMITTED)).fetchone()
    account.write(target / "backup_label", label)
    return Copy(log_position.parse(position), first, last, str(found[0] if found else ""))


async def copy_entries(account: Account, source: Path, target: Path) -> None:
    """Copy the data directory of a stopped server."""
    shutil.rmtree(target, ignore_errors=True)
    account.make_folder(target)
    await _run_copy(account, _entries(source), target)


async def _copy_files(account: Account, source: Path, target: Path) -> None:
    await _run_copy(account, _entries(source, _LEFT_OUT | _EMPTIED), target)
    for name in sorted(_EMPTIED | {"global", "pg_wal"}):
        account.make_folder(target / name)
    await _run_copy(account, _entries(source / "global", {"pg_control"}), target / "global")
    await _copy_control(account, source, target)


def _entries(folder: Path, left_out: Collection[str] = ()) -> list[Path]:
    return [entry for entry in sorted(folder.iterdir()) if entry.name not in left_out]


async def _copy_control(account: Account, source: Path, target: Path) -> None:
    """Copy pg_control as it was at one moment: a checkpoint may rewrite it between two halves of a read."""
    path = source / "global" / "pg_control"
    with account.acting():
        content = path.read_bytes()
    while True:
        await asyncio.sleep(0.005)
        with account.acting():
            again = path.read_bytes()
        if again == content:
            break
        content = again
    account.write(target / "global" / "pg_control", content)


async def _copy_log(account: Account, source: Path, target: Path, first: str, last: str) -> None:
    account.make_folder(target / "pg_wal" / "archive_status")
    complete = [entry for entry in _entries(source / "pg_wal") if len(entry.name) == 24 and first <= entry.name <= last]
    if not complete or complete[0].name != first or complete[-1].name != last:
        raise CopyFailed(f"the log from {first} to {last} is not all there")
    told = [entry for entry in _entries(source / "pg_wal") if entry.suffix == ".history"]
    await _run_copy(account, told + complete, target / "pg_wal")


async def _run_copy(account: Account, entries: Sequence[Path], target: Path) -> None:
    """Clone blocks where the file system can, copy them elsewhere. A file that vanished meanwhile is no fault."""
    if not entries:
        return
    clone = ["--reflink=auto"] if sys.platform == "linux" else ["-c"] if sys.platform == "darwin" else []
    process = await asyncio.create_subprocess_exec(
        "cp", "-R", "-p", *clone, *entries, target, stderr=asyncio.subprocess.PIPE, cwd=target, **account.spawn()
    )
    _, errors = await process.communicate()
    lines = errors.decode(errors="replace").splitlines()
    faults = [line for line in lines if not _VANISHED.search(line)]
    if process.returncode and (faults or not lines):
        raise CopyFailed("; ".join(faults[:3]) or f"cp ended with {process.returncode}")
