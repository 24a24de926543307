"""`pip install ".[asyncpg]"` from a checkout gives dbclient and chatdb, their driver, and nothing else of this repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_a_service_installs_dbclient_and_chatdb_alone(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, checkout)
    for package in ("dbclient", "chatdb", "pipeline", "emulator", "infra", "servers", "verbs"):
        shutil.copytree(
            ROOT / package, checkout / package, ignore=shutil.ignore_patterns("__pycache__", ".venv", "node_modules")
        )
    venv.create(tmp_path / "venv", with_pip=False)  # that with pip takes longer than all that is done with it
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "install", "--quiet", ".[asyncpg]"],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if done.returncode and ("No matching distribution" in done.stderr or "Connection" in done.stderr):
        pytest.skip("the package registry is out of reach")
    assert done.returncode == 0, done.stderr

    listed = subprocess.run([*pip, "list", "--format=freeze"], capture_output=True, text=True, check=True)
    packages = {line.partition("==")[0] for line in listed.stdout.split()}
    expected = {"chatdb", "asyncpg"}
    if sys.version_info < (3, 12):
        expected |= {"async-timeout", "async_timeout"}
    assert packages <= expected
    assert {"chatdb", "asyncpg"} <= packages

    # -I: no checkout on the path
    program = """
import importlib.util, sys
import dbclient.pool, chatdb, chatdb.threads, chatdb.messages, chatdb.consents, chatdb.usage
from dbclient.url import DatabaseURL
assert DatabaseURL.parse("postgres://u:p@h/d?schema=public").for_asyncpg().dsn == "postgresql://u:p@h/d"
others = ("pipeline", "servers", "emulator", "infra", "psycopg", "yoyo", "pulumi")
assert not any(importlib.util.find_spec(name) for name in others)
from pathlib import Path
assert all((Path(each.__path__[0]) / "py.typed").exists() for each in (chatdb, dbclient))
"""
    subprocess.run([python, "-I", "-c", program], check=True, cwd=tmp_path)
