"""Who runs the servers: PostgreSQL refuses root, so root runs them as an unprivileged user that exists already."""

from __future__ import annotations

import os
import pwd
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CANDIDATES = ("postgres", "nobody")


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
    """A user that servers run as; both None means ourselves."""

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def choose(cls) -> Account:
        """Ourselves, or for root the first of postgres and nobody."""
        if os.geteuid() != 0:
            return cls()
        for name in _CANDIDATES:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            if entry.pw_uid != 0:
                return cls(entry.pw_uid, entry.pw_gid)
        raise NoAccount(
            f"run the emulator as an ordinary user: root cannot run PostgreSQL, and has none of {_CANDIDATES}"
        )

    def spawn(self) -> SpawnOptions:
        """How to start a program as the account: C locale, UTC, files for its eyes only."""
        options: SpawnOptions = {"umask": 0o077, "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}}
        if self.uid is not None and self.gid is not None:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options

    def make_folder(self, path: Path) -> None:
        """Make a folder that belongs to the account, with mode 0700."""
        path.mkdir(mode=0o700, exist_ok=True)
        self.own(path)

    def own(self, path: Path) -> None:
        """Hand a file or folder to the account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        """Whether every folder from the root down lets the account pass. Permissions of others are never changed."""
        if self.uid is None:
            return True
        for step in (folder, *folder.parents):
            found = step.stat()
            wanted = 0o100 if found.st_uid == self.uid else 0o010 if found.st_gid == self.gid else 0o001
            if not found.st_mode & wanted:
                return False
        return True


def reachable_copy(account: Account, installation: Path, place: Path) -> Path:
    """`installation`, or a copy of it below `place` when the account cannot enter it (a virtualenv under /root).

    The programs look for their libraries in a folder beside the package's, which is copied along.
    """
    if account.can_enter(installation / "bin"):
        return installation
    package, libraries = installation.parent, installation.parent.with_name(installation.parent.name + ".libs")
    copy = place / package.name / installation.name
    if not copy.exists():
        fresh = place.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(installation, fresh / package.name / installation.name, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        fresh.chmod(0o755)
        fresh.rename(place)
    return copy
