"""The shell lines of docs/emulator.md, run in their order in a fresh clone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.run_folders import make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
# Lines that are run by others: Pulumi's by tests/engine, neonctl's by test_neon_cli.py; and one that is no command.
ELSEWHERE = ("pulumi ", "./inv deploy ", "npx --yes neonctl@", "def test_something(")


@pytest.fixture
def clone() -> Iterator[Path]:
    """A clone that borrows this checkout's environment. ./inv would prepare that for the clone, which is not its own, so
    Invoke is called as ./inv calls it; what ./inv does in a clone is tested in tests/inv.
    """
    folder = make_folder("neon-documented")
    made = folder / "clone"
    subprocess.run(["git", "clone", "-q", ROOT, made], check=True)
    shutil.copy(ROOT / "docs" / "emulator.md", made / "docs")
    (made / ".venv").symlink_to(sys.prefix)
    yield made
    subprocess.run([sys.executable, "-m", "invoke", "emulator", "--down"], cwd=made, check=True, capture_output=True)
    shutil.rmtree(folder)


def lines(page: str) -> list[str]:
    """The lines of the page's blocks, but those that are run elsewhere."""
    indented: list[str] = re.findall(r"^    (\S.*)$", page, re.MULTILINE)
    return [line for line in indented if not line.startswith(ELSEWHERE)]


def test_every_line_works_for_a_newcomer(clone: Path) -> None:
    script = lines((clone / "docs" / "emulator.md").read_text())
    assert len(script) >= 14, "the page shows how to start it, and its faults"

    done = subprocess.run(
        ["sh", "-exc", "\n".join(script).replace("./inv ", ".venv/bin/python -m invoke ")],
        cwd=clone,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stderr
