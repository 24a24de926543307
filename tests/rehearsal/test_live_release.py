"""`./inv rehearse` against the release that is live: the commit of the history, or one that is named, or none that is known."""

from __future__ import annotations

import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.deploy.target import Target
from pipeline.history.record import Author
from pipeline.migrations import read_folder
from tests.rehearsal.rehearsed import Rehearsed, rehearsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import Emulator

OLD = """-- name: read a message
SELECT "id", "name" FROM "Message" WHERE "id" = $1;
"""
NEW = OLD.replace(', "name"', "")
CONTRACT = 'ALTER TABLE "Message" DROP COLUMN "name";'


def head(prod: Rehearsed) -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=prod.path, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def write_queries(prod: Rehearsed, text: str) -> None:
    (prod.path / "queries").mkdir(exist_ok=True)
    (prod.path / "queries" / "server.sql").write_text(text)
    prod.commit()


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory, emulator: Emulator) -> Iterator[Rehearsed]:
    """Deployed with a release that reads a column; one that does not read it followed without a migration."""
    made = rehearsed(tmp_path_factory.mktemp("live"), emulator)
    write_queries(made, OLD)
    author = partial(Author, commit=head(made))
    apply(made.url, read_folder(made.path / "migrations"), target=Target("prod"), author=author)
    write_queries(made, NEW)
    made.git("tag", "v2")
    made.write(CONTRACT)
    yield made
    emulator.delete_project(made.project_id)


def test_the_release_of_the_newest_migration_is_the_one_that_may_not_break(prod: Rehearsed) -> None:
    done = prod.inv()
    assert done.returncode == 4, done.stderr
    assert "server, live: read a message" in done.stdout
    assert "undefined_column" in done.stdout
    assert prod.names() == ["main"]


def test_a_later_release_without_a_migration_is_named(prod: Rehearsed) -> None:
    done = prod.inv("--live", "v2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the live release was named" in done.stdout


def test_a_name_that_git_does_not_know_is_refused(prod: Rehearsed) -> None:
    done = prod.inv("--live", "v3")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "git knows no commit v3" in done.stderr
    assert prod.names() == ["main"]


def test_a_live_release_that_the_clone_does_not_have_is_not_measured(
    prod: Rehearsed, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shallow = tmp_path_factory.mktemp("runner") / "clone"
    prod.git("clone", "-q", "--depth=1", f"file://{prod.path}", str(shallow))
    full, prod.path = prod.path, shallow
    try:
        done = prod.inv()
    finally:
        prod.path = full
    assert done.returncode == 7, done.stdout + done.stderr
    assert "git fetch --unshallow" in done.stdout
