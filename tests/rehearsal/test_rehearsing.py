"""`./inv rehearse`, by its documented line, on a project of the emulator: what it says, and that it touches nothing."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.rehearsal.production import CANARY, ROWS
from tests.rehearsal.rehearsed import ROOT, Rehearsed, rehearsed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.emulator import Emulator

ADDS = 'ALTER TABLE "Message" ADD COLUMN pinned boolean NOT NULL DEFAULT false;'


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
    filled.forget()


def test_what_adds_something_passes_and_nobody_connects_to_production(prod: Rehearsed) -> None:
    prod.write(ADDS, "CREATE TABLE note (id int);")
    with psycopg.connect(prod.url.reveal(), autocommit=True) as connection:
        before = connection.execute(STATE).fetchone()
        done = prod.inv()
        assert connection.execute(STATE).fetchone() == before
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("passed: 2 migrations apply")
    assert [line for line in done.stderr.splitlines() if not line.startswith("  ")] == [
        "looking for the branch of prod",
        "copying the branch main",
        "deploying 2 pending on one copy, and measuring each statement on another",
        "deleting the copies",
    ]
    assert prod.names() == ["main"]


# Who has connected to the database, and which transactions have written anything.
STATE = (
    "SELECT pg_stat_clear_snapshot()::text, sessions, pg_current_snapshot()::text "
    "FROM pg_stat_database WHERE datname = current_database()"
)


def test_a_break_is_told_with_its_rows_and_without_a_value_and_is_written_before_the_exit_code(prod: Rehearsed) -> None:
    prod.write(
        f"ALTER TABLE \"Message\" ADD COLUMN kept text DEFAULT '{CANARY}'; DO $$ BEGIN RAISE NOTICE '{CANARY}'; END $$;",
        f"INSERT INTO \"User\" (id, name) VALUES ('{CANARY}', '{CANARY}');\n"
        'CREATE UNIQUE INDEX message_name ON "Message" (name);',
    )
    done = prod.inv("--json", "--crash", "--page", "page.html", "--summary", "summary.md", "--receipt", "receipt.json")
    assert done.returncode == 4, done.stderr
    page, summary, receipt = ((prod.path / name).read_text() for name in ("page.html", "summary.md", "receipt.json"))
    found = json.loads(done.stdout)
    assert found["result"] == "break"
    [stop] = found["stops"]
    assert (stop["id"], stop["line"], stop["sqlstate"]) == ("0901_pending", 2, "23505")
    assert found["files"][0]["deploy_milliseconds"] is not None
    assert "0901_pending.sql:2 stops the deploy with unique_violation (23505): 1,000 rows" in done.stderr
    assert "break" in page
    assert "break" in summary
    assert json.loads(receipt)["predicate"]["result"] == "FAILED"
    assert found["not_measured"][-1] == "what a killed deploy leaves: the deploy itself does not come to its end"
    assert CANARY not in done.stdout + done.stderr + page + summary + receipt
    assert prod.names() == ["main"]


def test_where_nothing_is_pending_it_says_so(prod: Rehearsed) -> None:
    done = prod.inv()
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "passed: nothing is pending")
    assert prod.names() == ["main"]


def test_a_file_that_was_edited_since_stops_it_as_it_stops_a_deploy(prod: Rehearsed) -> None:
    file = next((prod.path / "migrations").glob("0003_*s.sql"))
    text = file.read_text()
    file.write_text(f"{text}\n-- edited\n")
    done = prod.inv("--summary", "edited.md")
    file.write_text(text)
    assert done.returncode == 4
    assert "0003_scope_consents.sql" in done.stderr
    assert "0003_scope_consents.sql" in (prod.path / "edited.md").read_text()
    assert prod.names() == ["main"]


def test_two_runs_that_end_in_different_schemas_are_not_measured(prod: Rehearsed) -> None:
    prod.write(
        "DO $$ BEGIN EXECUTE 'CREATE TABLE of_' || pg_postmaster_start_time()::date - 'epoch'::date || '_'"
        " || (extract(epoch FROM pg_postmaster_start_time()) * 1000)::bigint || ' ()'; END $$;"
    )
    done = prod.inv()
    assert done.returncode == 7, done.stderr
    assert done.stdout.startswith("not measured: what each statement does: run one by one, they end in another schema")


BATCHED = """-- pipeline: batched="Message" key="id"
-- remaining: SELECT count(*) FROM "Message" WHERE "name" IS NULL
UPDATE "Message" SET "name" = 'x' WHERE "name" IS NULL AND /* batch */ true;
"""


def test_what_runs_batch_by_batch_is_rehearsed_with_who_depends_on_it(prod: Rehearsed) -> None:
    prod.write(BATCHED, '-- depends: 0900_pending\nALTER TABLE "Message" ALTER COLUMN name SET NOT NULL;')
    done = prod.inv("--json")
    assert done.returncode == 0, done.stderr
    batched, behind = json.loads(done.stdout)["files"]
    assert [each["updated"] for each in batched["statements"][0]["changed"]] == [100]
    assert batched["statements"][0]["observed"]
    assert [each["mode"] for each in behind["statements"][0]["locks"]] == ["AccessExclusiveLock"]


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


def test_an_empty_production_can_be_rehearsed(tmp_path: Path, emulator: Emulator) -> None:
    prod = rehearsed(tmp_path, emulator)
    done = prod.inv("--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["result"], len(found["files"])) == (
        "passed",
        len(list((tmp_path / "migrations").glob("*[a-z].sql"))) // 2,
    )
    assert prod.names() == ["main"]
    emulator.delete_project(prod.project_id)


def test_the_commands_of_the_page_run_as_they_stand_there(tmp_path: Path, emulator: Emulator) -> None:
    page = (ROOT / "docs" / "rehearsing.md").read_text()
    commands = [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    assert [command.split()[1] for command in commands] == ["rehearse", "rehearse", "rehearse", "deploy"]
    prod = rehearsed(tmp_path, emulator)
    prod.deploy()
    prod.write(ADDS)
    early = prod.run_verb("deploy", "--env", "prod", DATABASE_URL=prod.url.reveal())
    assert early.returncode == 3, early.stderr
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "./inv"
        only_a_deploy_has_it = {"DATABASE_URL": prod.url.reveal()} if arguments[0] == "deploy" else {}
        done = prod.run_verb(*arguments, **only_a_deploy_has_it)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    assert "1 migration applied" in done.stdout
    assert {"rehearsal.html", "rehearsal.md"} <= {file.name for file in tmp_path.iterdir()}
    assert prod.names() == ["main"]
    emulator.delete_project(prod.project_id)


@pytest.mark.parametrize(
    ("change", "told"),
    [({"NEON_API_KEY": ""}, "NEON_API_KEY is not set"), ({"NEON_API_KEY": "another"}, "401")],
)
def test_without_neons_key_nothing_is_begun(prod: Rehearsed, change: dict[str, str], told: str) -> None:
    done = prod.inv(**change)
    assert done.returncode in {2, 5}
    assert told in done.stderr
