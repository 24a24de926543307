"""What a data directory's postmaster.pid tells, and whether it still holds: after a crash or a reboot it does not."""

from __future__ import annotations

import os
import re
import subprocess
from os.path import samestat
from pathlib import Path

# Lines of postmaster.pid, from PostgreSQL's src/include/utils/pidfile.h.
_PID, _DATA, _PORT, _STATUS = 0, 1, 3, 7

# kill() takes 0 and -1 for many processes, and int() digits of any script.
_A_PID = re.compile("[1-9][0-9]{0,8}")

_SECONDS = 5.0  # lsof waits for file systems that do not answer


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


def process_exists(pid: int) -> bool:
    """Tell whether a process of this id exists, whatever it is and whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _lines(data: Path) -> list[str]:
    try:
        return [line.strip() for line in (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_postmaster(lines: list[str], data: Path) -> bool:
    pid = lines[_PID]
    if not _A_PID.fullmatch(pid) or not process_exists(int(pid)):
        return False
    # The path as it was at the start: the folder may have been moved since. It is not enough: the pid file of a copy names
    # the server of what it was copied from.
    return lines[_DATA] in _command_line(pid) and _works_in(pid, data, lines[_DATA])


def _works_in(pid: str, data: Path, started_in: str) -> bool:
    """Tell whether the process works in this very directory, whatever its path is by now: a postmaster never leaves its own."""
    try:
        return samestat(Path("/proc", pid, "cwd").stat(), data.stat())
    except (FileNotFoundError, PermissionError):  # no /proc, as on macOS, or another account's process
        working = _asked_lsof(pid) or Path(started_in)
        return working.is_dir() and working.samefile(data)


def _asked_lsof(pid: str) -> Path | None:
    try:
        done = subprocess.run(
            ["lsof", "-a", "-p", pid, "-d", "cwd", "-Fn"], capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return next((Path(line[1:]) for line in done.stdout.splitlines() if line.startswith("n/")), None)


def _command_line(pid: str) -> str:
    """Give the arguments that the process was started with; empty for a zombie."""
    try:
        return Path("/proc", pid, "cmdline").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:  # no /proc, as on macOS
        done = subprocess.run(["ps", "-o", "args=", "-p", pid], capture_output=True, text=True, check=False)
        return done.stdout
