"""Folders of a test run for the data of servers, and those that killed runs have left.

They are in memory where that can be: making and copying the files of a database takes a third of the time that a disk takes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from servers.processes import process_exists

if TYPE_CHECKING:
    from collections.abc import Callable

_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes the name
_ROOM = 4 << 30


def make_folder(prefix: str) -> Path:
    """Make a folder that belongs to this process."""
    in_memory = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}-{os.getpid()}-", dir=_MEMORY if in_memory else None))
    folder.chmod(0o755)  # as root, another account runs the servers
    return folder


def remove_left(prefix: str, remove: Callable[[Path], None]) -> None:
    """Remove the folders of processes that are gone, each with `remove`; of several test runs, one does it at a time.

    One that cannot be removed is told of, and left: there may be servers that run on it.
    """
    with (Path(tempfile.gettempdir()) / f"{prefix}.{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for place in (Path(tempfile.gettempdir()), _MEMORY):
            for folder in place.glob(f"{prefix}-*-*"):
                if _is_left(folder, prefix):
                    try:
                        remove(folder)
                    except Exception as error:  # noqa: BLE001 - whatever an older version wrote into it
                        print(f"{folder} of a killed test run could not be removed: {error!r}", file=sys.stderr)


def _is_left(folder: Path, prefix: str) -> bool:
    pid = folder.name.removeprefix(f"{prefix}-").partition("-")[0]
    if not pid.isdigit() or process_exists(int(pid)):
        return False
    try:
        return folder.stat().st_uid == os.getuid()
    except FileNotFoundError:
        return False
