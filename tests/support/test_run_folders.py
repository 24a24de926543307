"""Which folders of earlier runs are removed, and what becomes of one that cannot be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.run_folders import make_folder, remove_left

if TYPE_CHECKING:
    import pytest

PREFIX = f"chat-tests-folders{os.getpid()}"
MAKE_TWO = f"from tests.support.run_folders import make_folder as make; print(make({PREFIX!r}), make({PREFIX!r}))"


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
