"""A checkout of `./inv` alone, with packages of its own making, so that no index is asked and little is installed."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
_FILES = ("inv", "pipeline/__init__.py", "pipeline/errors.py", "pipeline/packages.py", "pipeline/bootstrap.py")

# Stands in for Invoke, and so does what ./inv starts for the verbs: says what it was started with.
_PROGRAM = """
import os, sys
VERSION = {version!r}
def main():
    print(VERSION, os.getcwd(), *sys.argv[1:], sep="|")
"""


@dataclass(frozen=True)
class Wheel:
    """A package in a folder that pip searches."""

    name: str
    version: str
    checksum: str

    @property
    def locked(self) -> str:
        return f"{self.name}=={self.version} \\\n    --hash=sha256:{self.checksum}\n"


@dataclass(frozen=True)
class Checkout:
    """A folder with `./inv`, and the folder of wheels that its pip finds."""

    root: Path
    wheels: Path

    def lock(self, *wheels: Wheel, file: str = "requirements.lock") -> None:
        path = self.root / file
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(wheel.locked for wheel in wheels))

    def environment(self, **changes: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "PYTHON": sys.executable,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            **changes,
        }

    def start(
        self, *arguments: str, cwd: Path | None = None, program: Path | None = None, **changes: str
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["/bin/bash", program or self.root / "inv", *arguments],
            cwd=cwd or self.root,
            env=self.environment(**changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def inv(
        self, *arguments: str, cwd: Path | None = None, program: Path | None = None, **changes: str
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, cwd=cwd, program=program, **changes)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        program = self.root / ".venv" / "bin" / "python"
        return subprocess.run(
            [program, "-c", code],
            cwd=self.wheels,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )


def make_wheel(folder: Path, name: str, version: str) -> Wheel:
    """A wheel with the programs `inv` and `invoke`, or with a module alone when it is another package."""
    scripts = "[console_scripts]\ninv = invoke:main\ninvoke = invoke:main\n" if name == "invoke" else ""
    information = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": _PROGRAM.format(version=version),
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/entry_points.txt": scripts,
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items())
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for inside, text in (files | {f"{information}/RECORD": f"{record}{information}/RECORD,,\n"}).items():
            wheel.writestr(inside, text)
    return Wheel(name, version, hashlib.sha256(path.read_bytes()).hexdigest())


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheels")


@pytest.fixture(scope="session")
def first(wheels: Path) -> Wheel:
    """The program at version 1.0."""
    return make_wheel(wheels, "invoke", "1.0")


@pytest.fixture(scope="session")
def second(wheels: Path) -> Wheel:
    """The program at version 2.0."""
    return make_wheel(wheels, "invoke", "2.0")


def make_checkout(root: Path, wheels: Path) -> Checkout:
    """A fresh clone, as far as `./inv` can tell."""
    for file in _FILES:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / file, root / file)
    (root / "infra").mkdir()
    (root / "verbs").mkdir()
    (root / "verbs" / "__main__.py").write_text("from invoke import main\n\nmain()\n")
    return Checkout(root, wheels)


@pytest.fixture
def fresh(tmp_path: Path, wheels: Path, first: Wheel) -> Checkout:
    """A checkout on which nothing was run yet."""
    checkout = make_checkout(tmp_path / "check out", wheels)
    checkout.lock(first)
    return checkout


@pytest.fixture(scope="session")
def moved(tmp_path_factory: pytest.TempPathFactory, wheels: Path, first: Wheel) -> Checkout:
    """A checkout that was used, and then moved to another folder."""
    folder = tmp_path_factory.mktemp("moved")
    checkout = make_checkout(folder / "before", wheels)
    checkout.lock(first)
    done = checkout.inv()
    assert done.returncode == 0, done.stderr
    return Checkout(checkout.root.rename(folder / "after"), wheels)


@pytest.fixture
def used(moved: Checkout, first: Wheel) -> Checkout:
    """A checkout whose environment is made and up to date. To make one takes seconds: tests share it, and mend its lock."""
    moved.lock(first)
    done = moved.inv()
    assert done.returncode == 0, done.stderr
    return moved
