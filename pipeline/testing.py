"""The checks of `./inv test`, the cheapest first: an answer that takes a second comes before one that takes minutes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import packages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_PROGRAMS = Path(sys.executable).parent

# More than a small machine has cores, since the tests wait half of their time: for servers, programs and locks. Each has a
# PostgreSQL server of its own, so there are not as many as a large machine has. A worker that is done takes tests from the
# others: they last from a millisecond to half a minute.
_WORKERS = ("-n", str(min(4, 2 * (os.cpu_count() or 1))), "--dist", "worksteal")


@dataclass(frozen=True, slots=True)
class Check:
    """One program, found beside the running Python, and what it is run for."""

    what: str
    command: tuple[str, ...]


CHECKS = (
    Check("lint", ("ruff", "check", ".")),
    Check("format", ("ruff", "format", "--check", ".")),
    Check("imports", ("lint-imports",)),
    Check("types", ("mypy",)),
    Check("tests", ("pytest", *_WORKERS)),
)


def run_all(root: Path, *, tell: Callable[[str], None]) -> int:
    """Run every check until one fails; the exit code of the last program that ran.

    Raises:
        ConfigurationError: the packages of locks/test.lock could not be installed.
    """
    return _run(root, CHECKS, tell)


def run_tests(root: Path, arguments: Sequence[str], *, tell: Callable[[str], None]) -> int:
    """Run pytest alone with these arguments, in one process unless they say otherwise. Raises what `run_all` raises."""
    return _run(root, (Check("tests", ("pytest", *arguments)),), tell)


def _run(root: Path, checks: Iterable[Check], tell: Callable[[str], None]) -> int:
    packages.ensure("test")
    # Programs that the checks start look for their like on PATH: pytest's workers, a language host, a linter of ours.
    environ = {**os.environ, "PATH": f"{_PROGRAMS}{os.pathsep}{os.environ.get('PATH', '')}"}
    # They start Python hundreds of times. A machine that keeps no bytecode, as images of containers are set to, would
    # compile the same packages each time: that takes longer than most tests.
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for check in checks:
        tell(f"{check.what}: {' '.join(check.command)}")
        started = time.monotonic()
        program, *arguments = check.command
        with subprocess.Popen([_PROGRAMS / program, *arguments], cwd=root, env=environ) as process, _in_front(process):
            code = process.wait()
        took = f"{time.monotonic() - started:.0f} s"
        if code != 0:
            tell(f"{check.what}: failed after {took}")
            return code if code > 0 else 128 - code
        tell(f"{check.what}: passed in {took}")
    return 0


@contextmanager
def _in_front(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave Ctrl-C, which a terminal sends to both, to the program, and hand SIGTERM on: it has servers to stop."""
    handlers = {
        signal.SIGINT: lambda _number, _frame: None,
        signal.SIGTERM: lambda number, _frame: process.send_signal(number),
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
