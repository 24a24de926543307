"""Which folders of earlier runs are removed, and what becomes of one that cannot be."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from emulator.background import is_running
from tests.support.emulator import Emulator
from tests.support.run_folders import make_folder, remove_left

PREFIX = f"db-tests-folders{os.getpid()}"
MAKE_TWO = f"from tests.support.run_folders import make_folder as make; print(make({PREFIX!r}), make({PREFIX!r}))"

KILLED = """\
import os, signal
from tests.support.emulator import Emulator
from tests.support.run_folders import make_folder
emulator = Emulator(make_folder({!r}))
emulator.start()
print(emulator.data, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_those_of_dead_processes_are_removed_and_one_that_cannot_be_is_told_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = subprocess.run([sys.executable, "-c", MAKE_TWO], capture_output=True, text=True, check=True)
    broken, left = sorted(Path(name) for name in made.stdout.split())
    mine = make_folder(PREFIX)

    def remove(folder: Path) -> None:
        if folder == broken:
            raise ValueError("a state that nobody can read")
        folder.rmdir()

    try:
        remove_left(PREFIX, remove)
        assert [path.is_dir() for path in (broken, left, mine)] == [True, False, True]
        assert f"{broken} of a killed test run could not be removed" in capsys.readouterr().err
    finally:
        for folder in (broken, left, mine):
            shutil.rmtree(folder, ignore_errors=True)
        (Path(tempfile.gettempdir()) / f"{PREFIX}.{os.getuid()}.lock").unlink()


def test_an_emulator_that_outlived_its_killed_run_is_ended_and_removed() -> None:
    prefix = f"{PREFIX}emulator"
    run = subprocess.run([sys.executable, "-c", KILLED.format(prefix)], capture_output=True, text=True, check=False)
    folder = Path(run.stdout.strip())
    try:
        assert (run.returncode, is_running(folder)) == (-signal.SIGKILL, True)
        remove_left(prefix, lambda left: Emulator(left).remove())
        assert not folder.exists()
    finally:
        (Path(tempfile.gettempdir()) / f"{prefix}.{os.getuid()}.lock").unlink(missing_ok=True)


def test_an_emulator_whose_start_is_cut_short_does_not_outlive_it() -> None:
    started: list[subprocess.Popen[str]] = []

    class Cut(Emulator):
        def _told(self, process: subprocess.Popen[str]) -> dict[str, str]:
            started.append(process)
            raise TimeoutError

    emulator = Cut(make_folder(PREFIX))
    try:
        with pytest.raises(TimeoutError):
            emulator.start()
        [process] = started
        assert process.returncode == -signal.SIGKILL
        assert process.stdout is not None
        assert process.stdout.closed
    finally:
        shutil.rmtree(emulator.data)
