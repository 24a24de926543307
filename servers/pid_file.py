"""What a data directory's postmaster.pid tells, and whether it still holds: after a crash or a reboot it does not."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from servers.processes import command_line, process_exists, works_in

# Lines of postmaster.pid, from PostgreSQL's src/include/utils/pidfile.h.
_PID, _DATA, _PORT, _STATUS = 0, 1, 3, 7

# kill() takes 0 and -1 for many processes, and int() digits of any script.
_A_PID = re.compile("[1-9][0-9]{0,8}")


def is_ready(data: Path, port: int) -> bool:
    """Tell whether the server of this data directory runs, at `port`, and accepts connections."""
    lines = _lines(data)
    return (
        len(lines) > _STATUS and lines[_STATUS] == "ready" and lines[_PORT] == str(port) and _is_postmaster(lines, data)
    )


def is_alive(data: Path) -> bool:
    """Tell whether the server of this data directory runs, be it still starting or already stopping."""
    lines = _lines(data)
    return len(lines) > _DATA and _is_postmaster(lines, data)


def copied_from(data: Path) -> Path | None:
    """Give the data directory that this one was copied from while its server ran, as with `cp -a` of a checkout.

    Its pid file is then the other's. A directory that was moved is no copy: what it names is not there any more.
    """
    lines = _lines(data)
    named = Path(lines[_DATA]) if len(lines) > _DATA else data
    return named if named.is_dir() and not named.samefile(data) else None


def forget_stale(data: Path) -> None:
    """Remove a postmaster.pid whose process is gone or is, by now, another program with the same number.

    The server would refuse to start over the second kind. It still detects survivors of a crash, by its shared memory.
    """
    if _lines(data) and not is_alive(data):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _lines(data: Path) -> list[str]:
    try:
        return [line.strip() for line in (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_postmaster(lines: list[str], data: Path) -> bool:
    if not _A_PID.fullmatch(lines[_PID]) or not process_exists(pid := int(lines[_PID])):
        return False
    # The path as it was at the start: the folder may have been moved since. It is not enough: the pid file of a copy names
    # the server of what it was copied from.
    if lines[_DATA] not in command_line(pid):
        return False
    try:
        return works_in(pid, data)
    except (OSError, subprocess.SubprocessError):  # another account's process, or no lsof
        started_in = Path(lines[_DATA])
        return started_in.is_dir() and started_in.samefile(data)
