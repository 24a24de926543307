"""Processes that are not our children, known by a pid that stands in a file which others may have written.

The servers run as an unprivileged account, and their folders are its own: it can write any number into a pid file, and a
number may be another process's by now. So the process has to be the account's and work in the folder, and a signal goes to
the very process that was looked at.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from os.path import samestat
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from servers.account import Account

_PID = re.compile(r"[1-9][0-9]{0,9}")
_SECONDS = 5.0  # lsof waits for file systems that do not answer


class FoundProcess:
    """A proven process. Where the system has them (Linux), a descriptor holds it: its number cannot become another's."""

    def __init__(self, pid: int, account: Account, folder: Path) -> None:
        self._pid = pid
        self._account = account
        self._folder = folder
        self._descriptor: int | None = None
        if sys.platform == "linux":
            self._descriptor = os.pidfd_open(pid)

    @classmethod
    def find(cls, pid: str, account: Account, folder: Path) -> Self | None:
        """The process of this number if it is the account's and its working directory is `folder`; else nothing."""
        if not _PID.fullmatch(pid):
            return None
        try:
            found = cls(int(pid), account, folder)
        except OSError:
            return None
        if found._proven() and found.alive:  # alive after the look: so it was this one that was looked at
            return found
        found.close()
        return None

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        if self._descriptor is None:
            return self._proven()
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)  # readable from the end of the process on
        return not poll.poll(0)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; none where it has ended."""
        try:
            if self._descriptor is None:
                if self._proven():
                    os.kill(self._pid, number)
            elif sys.platform == "linux":
                signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            pass

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        """A descriptor is not kept for a process that nobody asks about any more."""
        self.close()

    def _proven(self) -> bool:
        """With the account's rights: who may not trace others (root in a container) still sees where its own work."""
        try:
            with self._account.acting():
                return self._uids() == {os.geteuid()} and works_in(self._pid, self._folder)
        except (OSError, subprocess.SubprocessError):
            return False

    def _uids(self) -> set[int]:
        """Real, effective, saved: all that a process may turn into."""
        if sys.platform == "linux":
            status = Path(f"/proc/{self._pid}/status").read_text(errors="replace")
            line = next(line for line in status.splitlines() if line.startswith("Uid:"))
            return {int(word) for word in line.split()[1:]}
        return {int(word) for word in _ask("ps", "-o", "ruid=,uid=", "-p", str(self._pid)).split()}


# What PostgreSQL's programs and Docker begin the line with that tells why they failed, the strongest word first.
_REASONS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?:FATAL|PANIC):",
        r"\bERROR:",
        r"No space left on device|Disk quota exceeded",
        r"(?i)\berror:|could not |cannot ",
    )
)


def reason_in(said: str) -> str:
    """The line of what a failed program said that tells why; what comes behind it is a place in a text, or that it ended.

    Its last line where none tells, and nothing where it said nothing.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for pattern in _REASONS:
        for before, line in zip(["", *lines], lines, strict=False):
            if pattern.search(line):
                # which of its settings is at fault stands in the line before
                return before if "contains errors" in line and before else line
    return lines[-1] if lines else ""


def process_exists(pid: int) -> bool:
    """Whether a process of this id exists, whatever it is and whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def works_in(pid: int, folder: Path) -> bool:
    """Whether the process works in this very folder, whatever its path is by now: a postmaster never leaves its own.

    Raises OSError or subprocess.SubprocessError where that cannot be told.
    """
    if sys.platform == "linux":
        return samestat(Path(f"/proc/{pid}/cwd").stat(), folder.stat())
    told = _ask("lsof", "-a", "-p", str(pid), "-d", "cwd", "-Fn").splitlines()
    return any(Path(line[1:]).samefile(folder) for line in told if line.startswith("n/"))


def command_line(pid: int) -> str:
    """The arguments that the process was started with; empty for a zombie, or where it has ended."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
    return subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout


def _ask(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=_SECONDS).stdout
