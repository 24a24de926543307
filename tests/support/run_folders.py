"""Folders of a test run for the data of servers, and those that killed runs have left.

They are in memory where that can be: making and copying the files of a database takes a third of the time that a disk takes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.postgres.postmaster import process_exists

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
    """Remove the folders of processes that are gone, each with `remove`; of several test runs, one does it at a time."""
    with (Path(tempfile.gettempdir()) / f"{prefix}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for folder in (
            found for place in (Path(tempfile.gettempdir()), _MEMORY) for found in place.glob(f"{prefix}-*-*")
        ):
            pid = folder.name.removeprefix(f"{prefix}-").partition("-")[0]
            if pid.isdigit() and folder.stat().st_uid == os.getuid() and not process_exists(int(pid)):
                remove(folder)
