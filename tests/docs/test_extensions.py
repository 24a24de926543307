"""The table of docs/extensions.md: what each place offers, compared with Neon's list and with the server at hand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.environments.local import LocalServers
from pipeline.errors import ConfigurationError
from pipeline.generate.derived_files import PrismaSchema
from pipeline.postgres.binaries import install_complete
from servers.extensions import PGVECTOR, POSTGRESQL, neon_extensions
from servers.version import MAJORS
from tests.support.run_folders import make_folder

if TYPE_CHECKING:
    from tests.support.server import PostgresServer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extensions.md").read_text()
PLACES = ("Neon", "embedded server", "emulator", "Docker, as it is", "Docker, image with pgvector")


def table() -> dict[str, dict[str, str]]:
    """Of each extension, what the page says of each place."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")
    ]
    head = next(index for index, row in enumerate(rows) if row == ["extensions", *PLACES])
    found: dict[str, dict[str, str]] = {}
    for names, *cells in rows[head + 1 :]:
        if len(cells) != len(PLACES):
            break
        for name in re.findall(r"`([\w-]+)`", names):
            assert name not in found
            found[name] = dict(zip(PLACES, cells, strict=True))
    return found


def test_the_table_has_neons_list_and_says_with_what_each_comes() -> None:
    page = table()
    assert page.keys() == neon_extensions().keys()
    for name, comes_with in neon_extensions().items():
        if name == "plpgsql":
            continue
        here, by_need = comes_with != "", "when needed" if comes_with == POSTGRESQL else "yes"
        assert page[name] == {
            "Neon": "yes",
            "embedded server": by_need if here else "no",
            "emulator": "yes" if here else "no",
            "Docker, as it is": "yes" if comes_with == POSTGRESQL else "no",
            "Docker, image with pgvector": "yes" if here else "no",
        }, name


def test_the_server_at_hand_offers_what_the_table_says(server: PostgresServer) -> None:
    with psycopg.connect(server.superuser.reveal()) as connection:
        offered = {name for (name,) in connection.execute("SELECT name FROM pg_available_extensions")}
    if "citext" not in offered:
        pytest.skip(f"this server ({server.kind}) was built or installed without PostgreSQL's own extensions")
    place = "embedded server" if server.kind == "embedded" else "Docker, as it is"
    if "vector" in offered and server.kind == "docker":
        place = "Docker, image with pgvector"
    said = {name for name, places in table().items() if places[place] != "no"}
    if server.kind == "embedded":
        assert offered == said
    else:
        assert offered & neon_extensions().keys() == said


def test_the_page_names_the_image_and_the_files_that_there_are() -> None:
    assert neon_extensions()["vector"] == PGVECTOR
    for named in re.findall(r"`(locks/[\w-]+|servers/[\w.]+)`", PAGE):
        assert (ROOT / named).exists(), named


def test_every_command_of_the_page_works_in_a_fresh_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        for major in MAJORS:
            install_complete(major)
        packages = PrismaSchema(ROOT / "clients" / "prisma", ROOT / ".local" / "clients").install()
    except ConfigurationError as error:
        pytest.skip(f"the complete server cannot be had: {error.message}")
    commands = re.findall(r"^    (.*\./inv .*)$", PAGE, re.MULTILINE)
    assert len(commands) >= 2
    folder = make_folder("documented")
    clone = folder / "clone"
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    (clone / ".venv").symlink_to(sys.prefix)  # ./inv would prepare it for the clone, so Invoke is called as ./inv does
    # npm takes longer for these than the page's commands together
    installed = clone / ".local" / "clients" / packages.name
    installed.parent.mkdir(parents=True)
    installed.symlink_to(packages)
    try:
        done = subprocess.run(
            ["sh", "-exc", "\n".join(commands).replace("./inv ", ".venv/bin/python -m invoke ")],
            cwd=clone,
            env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
            | {"LOCAL_SERVER": "embedded"},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "this is proved on PostgreSQL 18, and production's is 16" in done.stderr
    finally:
        for major in MAJORS:
            monkeypatch.setenv("POSTGRES_MAJOR", str(major))
            LocalServers(clone).embedded.destroy()
        shutil.rmtree(folder)
