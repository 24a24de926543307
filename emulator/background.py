"""`up` and `down`: an emulator that outlives the command, found again by the lock on its folder.

No pid is kept: whoever holds the lock of a data folder is the emulator of it, and it is asked to end through its own API.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.administration import Unreachable, administer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_SECONDS = 90.0
_GLANCE = 0.02
_CHECKOUT = Path(__file__).resolve().parents[1]


class NotStarted(Exception):
    """The emulator ended instead of serving; the message is what it said."""


class TooLong(Exception):
    """It neither serves nor ends."""


def up(data: Path, flags: Sequence[str], env_file: Path) -> bool:
    """Have an emulator serve in `data`, and its environment in `env_file`; returns whether it was started just now.

    Returns when it answers. Of two at the same time, one starts it and the other finds it. Raises NotStarted, TooLong, or
    OSError where a file cannot be written.
    """
    data = data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    with _new(env_file) as writing, _alone(data / "up.lock"):
        running = is_running(data)
        if running and flags:
            raise NotStarted(f"one runs in {data} with options of its own: end it first (--down), then give other ones")
        if running:
            _wait(lambda: _serves(data), f"the emulator of {data} does not answer: see {data / 'emulator.log'}")
        else:
            _start(data, flags)
        writing.write_text((data / "environment").read_text())
    return not running


def down(data: Path) -> bool:
    """End the emulator of `data`, and servers that a killed one left; returns whether anything ran. Raises what `up` raises."""
    data = data.resolve()
    if not data.is_dir():
        return False
    with _alone(data / "up.lock"):
        running = is_running(data)
        if not running:
            if not _left_servers(data):
                return False
            _start(data, ())  # it takes over what a killed one left: to stop is then the same as ever
        _wait(lambda: _serves(data) or not is_running(data), f"the emulator of {data} does not answer")
        try:
            administer(data, "POST", "/stop", None)
        except Unreachable:
            if is_running(data):
                raise
        _wait(lambda: not is_running(data), f"the emulator of {data} does not end: see {data / 'emulator.log'}")
    return True


def is_running(data: Path) -> bool:
    """Whether an emulator holds the folder."""
    try:
        with (data / "lock").open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _start(data: Path, flags: Sequence[str]) -> None:
    told = data / "start-up"
    with told.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "emulator", "serve", "--data", data, *flags],
            cwd=_CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            start_new_session=True,  # Ctrl-C in this shell later on is not meant for it
        )
    try:
        _wait(
            lambda: process.poll() is not None or _serves(data),
            f"the emulator of {data} does not serve: see {data / 'emulator.log'}",
        )
    except BaseException:
        process.terminate()
        raise
    if process.returncode is not None:
        raise NotStarted(told.read_text(errors="replace").strip().removeprefix("emulator: ") or "it ended")
    process.returncode = 0  # it is nobody's to wait for from now on: else Python warns of it at the end


def _serves(data: Path) -> bool:
    """Whether it answers. It writes `environment` when it does, and takes it away before it begins and in the end."""
    if not (data / "environment").exists():
        return False
    try:
        administer(data, "GET", "/faults", None)
    except Unreachable:
        return False
    return True


def _left_servers(data: Path) -> bool:
    pid_files = ("branches/*/data/postmaster.pid", "poolers/*/pid")
    return any(True for pattern in pid_files for _ in data.glob(pattern))


def _wait(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TooLong(otherwise)
        time.sleep(_GLANCE)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep others out meanwhile; the kernel gives the lock up when its holder dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _new(path: Path) -> Iterator[Path]:
    """A file that replaces the one at `path` in the end, for its owner's eyes: a shell never reads half of it.

    It is opened first of all: where it cannot be written, nothing is started.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
