"""Who runs the servers: PostgreSQL refuses root, so root runs them as an unprivileged user that exists already."""

from __future__ import annotations

import os
import pwd
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SMALL = 64 * 1024  # bytes


class SpawnOptions(TypedDict, total=False):
    """Keyword arguments of subprocess that start a program as the account."""

    user: int
    group: int
    extra_groups: list[int]
    umask: int
    env: Mapping[str, str]


class NoAccount(Exception):
    """Root found nobody to run the servers as, or that user cannot reach a folder."""


@dataclass(frozen=True)
class Account:
    """A user that servers run as. Without ids it is ourselves."""

    name: str = ""
    uid: int | None = None
    gid: int | None = None

    @classmethod
    def choose(cls, *candidates: str) -> Account:
        """Ourselves, or for root the first of these that the machine has. Raises NoAccount where it has none."""
        if os.geteuid() != 0:
            return cls()
        for name in candidates:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            if entry.pw_uid != 0:
                return cls(name, entry.pw_uid, entry.pw_gid)
        raise NoAccount(f"PostgreSQL does not run as root, and there is no account named {' or '.join(candidates)}")

    def spawn(self) -> SpawnOptions:
        """How to start a program as the account: C locale, UTC, files for its eyes only."""
        options: SpawnOptions = {"umask": 0o077, "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}}
        if self.uid is not None and self.gid is not None:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options

    @contextmanager
    def acting(self) -> Iterator[None]:
        """While inside, have the account's rights and no others: what it planted in its folders leads root nowhere else.

        For a few calls without an await in between: the rights are the process's.
        """
        if self.uid is None or self.gid is None:
            yield
            return
        uid, gid, groups = os.geteuid(), os.getegid(), os.getgroups()
        os.setgroups([])
        os.setegid(self.gid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(uid)
            os.setegid(gid)
            os.setgroups(groups)

    def make_folder(self, path: Path) -> None:
        """Make a folder that belongs to the account, with mode 0700."""
        if self.uid is not None and self.gid is not None and path.parent.stat().st_uid != self.uid:
            path.mkdir(mode=0o700, exist_ok=True)
            os.chown(path, self.uid, self.gid)
            return
        with self.acting():
            path.mkdir(mode=0o700, exist_ok=True)

    def write(self, path: Path, content: str | bytes) -> None:
        """Write a file in one of the account's folders, anew."""
        with self.acting():
            path.unlink(missing_ok=True)
            with os.fdopen(_open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)

    def append(self, path: Path) -> IO[bytes]:
        """Open a file in one of the account's folders, as a log, to write at its end."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with self.acting():
            try:
                descriptor = _open(path, flags)
            except OSError:  # a link, a pipe, or not its own
                path.unlink(missing_ok=True)
                descriptor = _open(path, flags | os.O_EXCL)
        return os.fdopen(descriptor, "ab")

    def read(self, path: Path, begin: int = 0) -> str:
        """Read a small file in one of the account's folders, from a byte on; empty where there is none, or no file."""
        with self.acting():
            try:
                descriptor = _open(path, os.O_RDONLY)
            except OSError:
                return ""
        with os.fdopen(descriptor, "rb") as file:
            file.seek(begin)
            return file.read(_SMALL).decode(errors="replace")

    def own(self, path: Path) -> None:
        """Give a file or folder, which we made, to the account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def passes(self, path: Path) -> bool:
        """Whether it may enter every folder on the way to `path`, and `path` if it is one. Nothing is changed for that."""
        if self.uid is None:
            return True
        folder = path if path.is_dir() else path.parent
        for step in (folder, *folder.parents):
            found = step.stat()
            # As the kernel decides: the first class that fits is the only one that counts.
            wanted = 0o100 if found.st_uid == self.uid else 0o010 if found.st_gid == self.gid else 0o001
            if not found.st_mode & wanted:
                return False
        return True


def _open(path: Path, flags: int) -> int:
    """Open a file and nothing else: no link is followed, and nobody at the other end of a pipe is waited for."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no file")
    return descriptor
