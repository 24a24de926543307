"""The shell lines of docs/a-bad-migration.md, run in their order by somebody whose migration 0007 deleted messages."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply, inspect_server
from pipeline.deploy.target import Target
from tests.restore.conftest import NOBODY, ROOT, Place
from tests.support.databases import PRODUCT
from tests.support.folders import FolderBuilder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.emulator import Emulator

PAGE = (ROOT / "docs" / "a-bad-migration.md").read_text()
ROWS = """
INSERT INTO "Thread" (id) SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid FROM generate_series(1, 5) n;
INSERT INTO "Message" ("threadId", role, content) SELECT id, 'human', E'it\\'s\\t' || id FROM "Thread";
"""
MESSAGES = 'SELECT count(*), md5(string_agg("Message"::text, chr(10) ORDER BY id)) FROM "Message"'


def lines() -> list[str]:
    """The lines of the page's blocks, with the answer of the person who is asked for the environment's name."""
    shell = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    found: list[str] = re.findall(r"^ {4,8}(\S.*)$", shell, re.MULTILINE)
    return [f"{line} --confirm prod" if line.endswith("--in-place") else line for line in found]


@pytest.fixture
def production(emulator: Emulator, tmp_path: Path) -> Place:
    shutil.copytree(PRODUCT / "migrations", tmp_path / "migrations")
    place = Place(emulator, emulator.create_project(), FolderBuilder(tmp_path / "migrations"))
    apply(place.url, place.folder.read(), target=Target("prod"), author=lambda: NOBODY)
    place.rows(ROWS)
    place.folder.write("0007_bad", '-- nobody wants old messages\nDELETE FROM "Message";', "SELECT 1;")
    (tmp_path / ".gitignore").write_text(".local/\n")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "All of it"]):
        subprocess.run(["git", *command], cwd=tmp_path, env=place.variables() | GIT, check=True)
    return place


GIT = {f"GIT_{who}_{what}": "nobody@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.mark.skipif(shutil.which("psql") is None, reason="the page calls psql, which is not there")
def test_every_line_works_in_its_order(production: Place) -> None:
    wanted = production.rows(MESSAGES)
    production.deploy()
    script = lines()
    assert len(script) >= 12, "the page shows how to look, to take and to go back"
    taken = next(number for number, line in enumerate(script) if line.startswith("rm "))
    run(production, script[: taken + 1])
    assert production.rows(MESSAGES) == wanted
    assert not (production.folder.path.parent / ".local" / "restored").exists()

    run(production, script[taken + 1 :])
    assert production.rows(MESSAGES) == wanted
    history = inspect_server(production.url).history
    assert sorted(history.held) == ["0008_bring_back_message"], "and 0007 was released by the last line"
    production.emulator.delete_project(production.project_id)


def run(place: Place, script: list[str]) -> None:
    inv = f"{sys.executable} -m verbs "
    done = subprocess.run(
        ["sh", "-exc", "\n".join(script).replace("./inv ", inv)],
        cwd=place.folder.path.parent,
        env=place.variables() | GIT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
