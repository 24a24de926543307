"""`./inv rehearse`, by its documented line, on a project of the emulator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.rehearsal.production import ROWS
from tests.rehearsal.rehearsed import Rehearsed, rehearsed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import Emulator


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, emulator: Emulator) -> Iterator[Rehearsed]:
    """A production with rows, which no test of the module changes."""
    made = rehearsed(tmp_path_factory.mktemp("filled"), emulator)
    made.deploy()
    with psycopg.connect(made.url.reveal(), autocommit=True) as connection:
        connection.execute(ROWS)
    yield made
    emulator.delete_project(made.project_id)


@pytest.fixture
def prod(filled: Rehearsed) -> Iterator[Rehearsed]:
    yield filled
    filled.emulator.admin.delete("/faults")
    filled.forget()


def test_what_adds_something_passes_and_leaves_no_branch(prod: Rehearsed) -> None:
    prod.write('ALTER TABLE "Message" ADD COLUMN pinned boolean NOT NULL DEFAULT false;', "CREATE TABLE note (id int);")
    done = prod.inv()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("passed")
    assert prod.names() == ["main"]


def test_a_deploy_that_is_killed_at_each_statement_ends_where_one_ends_that_nobody_kills(prod: Rehearsed) -> None:
    prod.write(
        'ALTER TABLE "Message" ADD COLUMN pinned boolean NOT NULL DEFAULT false; CREATE TABLE note (id int);',
        '-- transactional: false\nCREATE INDEX CONCURRENTLY "Message_name_idx" ON "Message" (name);',
        "DROP TABLE note;",
    )
    done = prod.inv("--crash", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    crash = json.loads(done.stdout)["crash"]
    assert (crash["checked"], crash["diverged"]) == (True, [])
    assert crash["points"] >= 3 + 1 + 5  # of statements, of the build at work, of messages
    assert prod.names() == ["main"]
