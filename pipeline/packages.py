"""The packages of a lock file, installed into the running environment when a verb first needs them.

What is installed stands in `installed/` of the environment: a copy of each lock, written last, under the path of the
environment's folder (scripts in a moved environment do not run). To compare it is all that a later call pays.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "requirements.lock"


def ensure(*groups: str) -> None:
    """Install locks/<group>.lock for each group, unless that was done already.

    Raises:
        ConfigurationError: pip failed, or this Python is not in a virtual environment.
    """
    environment = Path(sys.prefix)
    missing = [lock for lock in map(lock_of, groups) if not is_installed(environment, lock)]
    if not missing:
        return
    if sys.prefix == sys.base_prefix:
        raise ConfigurationError(
            f"{missing[0].name} is to be installed, and {sys.executable} is not in a virtual environment",
            remedy="Run it through ./inv, which has one of its own.",
        )
    with one_at_a_time():
        for lock in missing:
            if not is_installed(environment, lock):
                _announce(f"Installing {lock.relative_to(ROOT)}")
                install(environment, lock)
    import importlib

    importlib.invalidate_caches()


def lock_of(group: str) -> Path:
    """Give the lock file of a dependency group of pyproject.toml."""
    return ROOT / "locks" / f"{group}.lock"


def is_installed(environment: Path, lock: Path) -> bool:
    """Tell whether this very lock was installed into the environment, at the place where it still is."""
    try:
        return _stamp(environment, lock).read_bytes() == _stamp_text(environment, lock)
    except FileNotFoundError:
        return False


def install(environment: Path, lock: Path) -> None:
    """Install a lock into an environment, every file checked against its hashes, and leave the stamp.

    Raises:
        ConfigurationError: the lock is missing or broken, or its packages cannot be had.
    """
    if not lock.is_file():
        raise ConfigurationError(f"{lock.name} is missing", remedy="Bring it back: git checkout -- '*.lock'")
    unfinished = environment / "installed" / "unfinished"
    unfinished.parent.mkdir(exist_ok=True)
    unfinished.touch()
    text = _stamp_text(environment, lock)
    done = _pip(environment, lock)
    if done.returncode != 0:
        # pip fetches and checks everything before it changes anything.
        unfinished.unlink()
        raise _explain(lock, done.stderr)
    stamp = _stamp(environment, lock)
    new = stamp.with_suffix(".new")
    new.write_bytes(text)
    new.replace(stamp)
    unfinished.unlink()


def is_unfinished(environment: Path) -> bool:
    """Tell whether an installation was killed half-way: what it left cannot be trusted."""
    return (environment / "installed" / "unfinished").exists()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Keep a second command out while one installs. The kernel gives the lock up when its holder dies."""
    import fcntl

    folder = ROOT / ".local"
    folder.mkdir(exist_ok=True)
    with (folder / "install.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _stamp(environment: Path, lock: Path) -> Path:
    return environment / "installed" / lock.name


def _stamp_text(environment: Path, lock: Path) -> bytes:
    return os.fsencode(environment.resolve().parent) + b"\n" + lock.read_bytes()


def _pip(environment: Path, lock: Path) -> subprocess.CompletedProcess[str]:
    import subprocess

    # Settings of the caller's pip that would put the packages elsewhere, or let it build some: a source package runs code
    # of its own on this machine. Every package of every lock has a wheel, so there is no exception.
    others = {"PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_NO_BINARY", "PIP_ONLY_BINARY"}
    return subprocess.run(
        [
            environment / "bin" / "python", "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--no-input", "--retries", "2", "--no-compile", "--only-binary", ":all:", "--require-hashes", "--requirement", lock,
        ],
        env={name: value for name, value in os.environ.items() if name not in others},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip


_NO_ANSWER = (
    r"NewConnectionError|NameResolution|name resolution|ConnectTimeout|ReadTimeout|timed out|ProxyError|SSLError|"
    r"Connection (?:refused|reset|broken|aborted)|Network is unreachable|RemoteDisconnected|HTTP error"
)

# What pip says, in the order in which a cause hides behind the next one's words, and what to do about it.
_CAUSES = (
    (r"No module named pip\b", "its environment has no pip", "remove .venv and run ./inv again"),
    (r"No space left|Disk quota", "the disk is full", "make room and run it again"),
    (r"Permission denied|Read-only file system", "the environment is not writable", "make .venv writable or remove it"),
    (
        r"DO NOT MATCH THE HASHES",
        "a package is not the one that was locked",
        "check the package index (pip config list)",
    ),
    (
        r"Hashes are required|Invalid requirement|pinned with ==|Invalid hash|unparsable|No such option",
        "the lock file is broken",
        "bring it back: git checkout -- '*.lock'",
    ),
    (
        _NO_ANSWER,
        "the package index does not answer",
        "check the network (or PIP_INDEX_URL) and run it again",
    ),
    (
        r"No matching distribution|not a supported wheel",
        "the package index has no build of a package for this machine",
        "use CPython 3.11 to 3.14 on macOS or Linux with glibc; if you do, check PIP_INDEX_URL",
    ),
)


def _explain(lock: Path, said: str) -> ConfigurationError:
    for pattern, what, remedy in _CAUSES:
        if re.search(pattern, said):
            return ConfigurationError(f"could not install {lock.name}: {what}", remedy=remedy[0].upper() + remedy[1:])
    errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.strip()]
    return ConfigurationError(
        f"could not install {lock.name}: {errors[-1] if errors else 'pip failed without a word'}",
        remedy="If that is no help, remove .venv and run ./inv again",
    )


def _announce(text: str) -> None:
    if sys.stderr.isatty():
        print(text, file=sys.stderr)


def main() -> int:
    """Install the groups that the command line names, ahead of steps that reach no index. Gives the exit code."""
    try:
        ensure(*sys.argv[1:])
    except ConfigurationError as error:
        print(f"{error.message}. {error.remedy}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
