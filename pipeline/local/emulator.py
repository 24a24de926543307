"""Neon's stand-in, run from this checkout. It is a program of its own, which nothing here imports (emulator/)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pipeline import packages
from pipeline.errors import ConfigurationError, UsageError
from pipeline.postgres.binaries import embedded_major, install_complete

_DATA = "NEON_EMULATOR_DATA"


def start(root: Path, env_file: str) -> int:
    """Install what it needs, start it unless it runs, and write `env_file`; its exit code, when it serves or has failed.

    Raises:
        ConfigurationError: the packages of locks/emulator.lock could not be installed.
    """
    packages.ensure("emulator")
    try:
        install_complete(embedded_major(root))
    except ConfigurationError as error:
        print(f"without PostgreSQL's own extensions, which cannot be had: {error.message}", file=sys.stderr)
    # A relative path is the caller's, as with every other program.
    file = Path(env_file).absolute() if env_file else root / ".local" / "emulator.env"
    return _run("up", "--data", str(data_folder(root)), "--env-file", str(file))


def end(root: Path) -> int:
    """Stop it, and servers that a killed one left; its exit code. Raises what `start` raises."""
    packages.ensure("emulator")
    return _run("down", "--data", str(data_folder(root)))


def data_folder(root: Path) -> Path:
    """Where it keeps its servers and its state: NEON_EMULATOR_DATA, else .local/emulator of the checkout."""
    named = os.environ.get(_DATA)
    return Path(named).absolute() if named else root / ".local" / "emulator"


def one_of(**flags: bool) -> str:
    """The one flag that was given.

    Raises:
        UsageError: none was, or several.
    """
    given = [name for name, value in flags.items() if value]
    if len(given) == 1:
        return given[0]
    words = " or ".join(f"--{name}" for name in flags)
    raise UsageError(f"give one of {words}", remedy=f"./inv emulator --{next(iter(flags))}")


def _run(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "emulator", *arguments], cwd=packages.ROOT, check=False).returncode
