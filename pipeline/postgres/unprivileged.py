"""PostgreSQL refuses to run as root: an existing account that runs it instead, and what that account can reach.

Permissions of folders that others made are never changed. Where the account cannot pass, files go elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigurationError

_CANDIDATES = ("nobody", "postgres")
_ELSEWHERE = Path("/var/lib/chat-database")
"""Where root keeps a server's files when the account cannot pass to the checkout, as with one below /root."""


@dataclass(frozen=True)
class Account:
    """An account of the machine: its name, user id and group id."""

    name: str
    uid: int
    gid: int

    def passes(self, path: Path) -> bool:
        """Tell whether the account may enter every folder on the way to `path`, and `path` if it is one."""
        folder = path if path.is_dir() else path.parent
        return all(self._enters(each) for each in (folder, *folder.parents))

    def _enters(self, folder: Path) -> bool:
        # As the kernel decides: the first class that fits is the only one that counts.
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & 0o100)
        if status.st_gid == self.gid:
            return bool(status.st_mode & 0o010)
        return bool(status.st_mode & 0o001)

    def own(self, path: Path) -> None:
        """Give `path`, which we made, to the account."""
        os.chown(path, self.uid, self.gid)


def account_for_server() -> Account | None:
    """Give the account that a server is run as, or None when it is simply ours, since we are not root.

    Raises:
        ConfigurationError: we are root, and there is none of the accounts that could be used.
    """
    if os.geteuid() != 0:
        return None
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise ConfigurationError(
        f"PostgreSQL does not run as root, and there is no account named {' or '.join(_CANDIDATES)}",
        remedy="Run as another user, start Docker, or set DATABASE_URL to a local server.",
    )


def make_folder(path: Path) -> None:
    """Make `path` and what is missing above it, open to pass whatever the umask; others stay as they are."""
    for missing in [each for each in (path, *path.parents) if not each.exists()][::-1]:
        missing.mkdir(exist_ok=True)
        missing.chmod(0o755)


def place_for(folder: Path, account: Account | None) -> Path:
    """Give `folder`, or one that stands for it elsewhere when `account` cannot pass to it. It exists afterwards."""
    make_folder(folder)
    if account is None or account.passes(folder):
        return folder
    elsewhere = _ELSEWHERE / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    make_folder(elsewhere)
    if not account.passes(elsewhere):
        raise ConfigurationError(
            f"the account {account.name} can pass neither to {folder} nor to {elsewhere}",
            remedy="Move the checkout to a folder that is not private to root, start Docker, or run as another user.",
        )
    return elsewhere


def programs_for(installation: Path, account: Account | None) -> Path:
    """Give the folder of programs that `account` can run: the installation's own, or a copy that checkouts share."""
    if account is None or account.passes(installation / "bin"):
        return installation / "bin"
    with (installation / "bin" / "postgres").open("rb") as file:
        copy = _ELSEWHERE / f"programs-{hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"
    if not copy.is_dir():
        _copy_programs(installation, copy)
    return copy / installation.relative_to(installation.parent.parent) / "bin"


def _copy_programs(installation: Path, copy: Path) -> None:
    package = installation.parent
    make_folder(copy.parent)
    half = copy.with_name(f"{copy.name}.{os.getpid()}")
    # The programs find their libraries by paths relative to themselves: the layout of the wheel is kept.
    for part in (installation.relative_to(package.parent), f"{package.name}.libs", f"{package.name}/.dylibs"):
        if (package.parent / part).is_dir():
            shutil.copytree(
                package.parent / part, half / part, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a")
            )
    _open(half)
    try:
        half.rename(copy)
    except OSError:  # another run was faster
        shutil.rmtree(half)


def _open(tree: Path) -> None:
    # The wheel's files carry the umask of whoever installed it, such as 077.
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(file.stat().st_mode | (0o055 if file.stat().st_mode & 0o100 else 0o044))
