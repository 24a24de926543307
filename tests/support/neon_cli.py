"""`neon_cli`: Neon's own command line, as npm has it, whose calls go to the session's emulator."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.errors import ConfigurationError
from pipeline.node import find_node, install

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import Emulator

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "clients" / "neon"
PROGRAMS = ROOT / "tests" / "emulator" / "programs"


@dataclass(frozen=True)
class Answer:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


class NeonPackages:
    """A folder with Neon's packages and the programs that use them."""

    def __init__(self, folder: Path, node: Path, emulator: Emulator) -> None:
        self.folder = folder
        self.node = node
        self.environment = {
            **os.environ,
            "CI": "true",
            "HOME": str(folder),
            "NEON_API_KEY": emulator.environment["NEON_API_KEY"],
            "NEON_API_HOST": emulator.environment["NEON_API_URL"],
            "NODE_NO_WARNINGS": "1",
        }

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the folder in a process of its own."""
        return subprocess.run(
            [self.node, program, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


class NeonCli:
    """One process that runs command after command (see programs/neon_commands.mjs)."""

    def __init__(self, packages: NeonPackages) -> None:
        reading, self._asked = os.pipe()
        self._process = subprocess.Popen(
            [packages.node, "neon_commands.mjs", str(reading)],
            cwd=packages.folder,
            env=packages.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[reading],
        )
        os.close(reading)

    def run(self, *arguments: str) -> Answer:
        """Run a command, however it ends."""
        assert self._process.stdout is not None
        os.write(self._asked, json.dumps([*arguments, "--no-analytics"]).encode() + b"\n")
        return Answer(**json.loads(self._process.stdout.readline()))

    def ok(self, *arguments: str) -> Any:
        """Run a command that must succeed; what it wrote, read from JSON."""
        answer = self.run(*arguments, "--output", "json")
        assert answer.code == 0, f"neonctl {' '.join(arguments)}: {answer.err}{answer.out}"
        return json.loads(answer.out) if answer.out[:1] in ("{", "[") else answer.out

    def close(self) -> None:
        """End the process."""
        os.close(self._asked)
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="session")
def neon_packages(tmp_path_factory: pytest.TempPathFactory, emulator: Emulator) -> NeonPackages:
    """Neon's packages; the first time npm brings them."""
    files = [PACKAGES / name for name in ("package.json", "package-lock.json", ".npmrc")]
    try:
        node = find_node().program
        packages = install(files, ROOT / ".local" / "clients")
    except ConfigurationError as error:
        pytest.skip(f"no packages of Neon: {error}")
    folder = tmp_path_factory.mktemp("neon")
    (folder / "node_modules").symlink_to(packages / "node_modules")
    for program in PROGRAMS.iterdir():
        shutil.copy(program, folder / program.name)
    return NeonPackages(folder, node, emulator)


@pytest.fixture(scope="session")
def neon_cli(neon_packages: NeonPackages) -> Iterator[NeonCli]:
    """Neon's command line."""
    cli = NeonCli(neon_packages)
    yield cli
    cli.close()
