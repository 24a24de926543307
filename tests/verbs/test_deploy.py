"""`deploy`, `plan` and `status` as CI runs them: what is printed where, and the exit code."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from servers.version import wanted_major
from services import OWNER
from tests.support.sample import SAMPLE_IDS
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbclient.url import DatabaseURL
    from tests.support.sample import Database
    from tests.verbs.conftest import Checkout


def test_an_empty_database_gets_every_migration(checkout: Checkout) -> None:
    answer = checkout.inv("deploy")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("5 migrations applied, 0 already there: ")
    assert [line.split()[0] for line in answer.stderr.splitlines()] == SAMPLE_IDS


@pytest.mark.parametrize("verb", [["deploy", "--env", "dev"], ["deploy"], ["baseline", "--through", "0005"]])
def test_migrations_that_no_commit_holds_end_with_3_and_their_folder_is_named(
    checkout: Checkout, db: Database, verb: list[str]
) -> None:
    command = [part for part in checkout.command(*verb) if part != "--uncommitted"]
    environment = checkout.environment(GIT_CEILING_DIRECTORIES=str(checkout.path.parent))
    answer = subprocess.run(command, cwd=checkout.path, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 3, answer.stderr
    assert "error: nobody can tell which commit holds migrations: it is in no git checkout\n" in answer.stderr
    assert "--uncommitted" in answer.stderr
    assert db.applied() == []


def test_plan_says_that_a_deploy_would_refuse_what_no_commit_holds(checkout: Checkout) -> None:
    alone = {"GIT_CEILING_DIRECTORIES": str(checkout.path.parent)}
    said = "a deploy would refuse this: nobody can tell which commit holds migrations: it is in no git checkout"
    answer = checkout.inv("plan", "--env", "dev", **alone)
    assert answer.returncode == 0
    assert answer.stdout.endswith(f"note: {said}\n")
    assert json.loads(checkout.inv("status", "--env", "dev", "--json", **alone).stdout)["warnings"] == [said]
    assert json.loads(checkout.inv("status", "--env", "local", "--json", **alone).stdout)["warnings"] == []


def test_an_up_to_date_database_gets_nothing(checkout: Checkout) -> None:
    checkout.inv("deploy")
    answer = checkout.inv("deploy", "--env", "dev")
    assert answer.returncode == 0
    assert answer.stdout.startswith("nothing to do: 5 migrations applied already: ")
    assert answer.stderr == ""


def test_json_is_one_document_on_standard_output(checkout: Checkout) -> None:
    document = json.loads(checkout.inv("deploy", "--json").stdout)
    assert document["verb"] == "deploy"
    assert document["environment"] is None
    assert [each["id"] for each in document["applied"]] == SAMPLE_IDS
    assert document["server"]["version"].startswith(f"{wanted_major()}.")


def test_an_edited_file_ends_a_deploy_with_4_and_status_says_so_too(checkout: Checkout) -> None:
    checkout.inv("deploy")
    assert checkout.inv("status").returncode == 0
    checkout.write("0003_pets", "SELECT 3;")
    checkout.write("0006_more", "CREATE TABLE more ();")
    answer = checkout.inv("deploy")
    assert answer.returncode == 4
    assert "error: migrations/0003_pets.sql: it was edited after it was applied\n" in answer.stderr
    assert "Traceback" not in answer.stderr
    status = checkout.inv("status", "--json")
    assert status.returncode == 4
    document = json.loads(status.stdout)
    assert (document["deployable"], document["edited"], document["pending"]) == (False, ["0003_pets"], ["0006_more"])


def test_an_error_is_a_document_too(checkout: Checkout) -> None:
    checkout.write("0006_broken", "COMMIT;")
    answer = checkout.inv("deploy", "--json")
    assert answer.returncode == 4
    error = json.loads(answer.stdout)["error"]
    assert (error["kind"], error["exit_code"]) == ("MigrationFileError", 4)
    assert error["where"] == "migrations/0006_broken.sql:1"


def test_plan_shows_the_sql_in_order_and_runs_nothing(checkout: Checkout, db: Database) -> None:
    answer = checkout.inv("plan", "--env", "dev")
    assert answer.returncode == 0, answer.stderr
    places = [answer.stdout.index(f"-- migrations/{id_}.sql") for id_ in SAMPLE_IDS]
    assert places == sorted(places)
    assert 'CREATE TABLE "Person"' in answer.stdout
    assert "(outside a transaction)" in answer.stdout
    assert db.applied() == []
    document = json.loads(checkout.inv("plan", "--json").stdout)
    assert [each["id"] for each in document["pending"]] == SAMPLE_IDS


def test_a_wrong_target_ends_with_3(checkout: Checkout, superuser: Database) -> None:
    superuser.run(f"ALTER DATABASE {superuser.url.database} SET neon.branch_id = 'br-somewhere'")
    for verb in (["migrate"], ["rollback", "--to", "0000"]):
        answer = checkout.inv(*verb)
        assert answer.returncode == 3
        assert "br-somewhere, which is not local" in answer.stderr


@pytest.mark.parametrize("verb", [["migrate"], ["rollback", "--to", "0000"]])
def test_a_local_only_verb_does_not_connect_to_another_host(checkout: Checkout, verb: list[str]) -> None:
    url = checkout.url.copy_with(host="db.invalid")
    answer = checkout.inv(*verb, DATABASE_URL=url.reveal())
    assert answer.returncode == 3
    assert "db.invalid, which is not local" in answer.stderr
    assert "deploy" in answer.stderr


def test_a_pooler_ends_with_3(checkout: Checkout, pooled: Callable[..., DatabaseURL]) -> None:
    answer = checkout.inv("deploy", DATABASE_URL=pooled(checkout.url).reveal())
    assert answer.returncode == 3
    assert "connection pooler" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["baseline"], "--through is missing"),
        (["deploy", "--wait", "soon"], "not a number of seconds"),
        (["rollback", "--to", "0042"], "no applied migration is named 0042"),
    ],
)
def test_a_flag_that_is_missing_or_wrong_ends_with_2(checkout: Checkout, arguments: list[str], message: str) -> None:
    answer = checkout.inv(*arguments)
    assert answer.returncode == 2
    assert message in answer.stderr


def test_without_any_url_the_remedy_is_told(checkout: Checkout) -> None:
    answer = checkout.inv("deploy", DATABASE_URL="")
    assert answer.returncode == 2
    assert "DATABASE_URL is set, and empty" in answer.stderr


def test_a_lock_that_is_held_ends_with_6(checkout: Checkout, db: Database) -> None:
    from pipeline.postgres.lock import KEY

    with db.connect() as other:
        other.execute(f"SELECT pg_advisory_lock({KEY})")
        answer = checkout.inv("deploy", "--wait", "0.2")
    assert answer.returncode == 6
    assert f"a session of the role {OWNER} has the lock" in answer.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_with_its_own_code(checkout: Checkout, superuser: Database, number: int, code: int) -> None:
    checkout.write("0002_some_people", "SELECT pg_sleep(300);")
    running = subprocess.Popen(
        checkout.command("deploy"),
        cwd=checkout.path,
        env=checkout.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: superuser.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 1)
    running.send_signal(number)
    _, stderr = running.communicate(timeout=30)
    assert running.returncode == code
    assert "1 of 5 applied in this run (through 0001_people)" in stderr
    assert "Traceback" not in stderr


def started(checkout: Checkout, verb: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        checkout.command(verb),
        cwd=checkout.path,
        env=checkout.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_deploy_goes_on_to_its_end_when_nobody_reads_its_progress_any_more(
    checkout: Checkout, superuser: Database
) -> None:
    with started(checkout, "deploy") as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stderr.close()  # as `2>&1 | head -1` does
        assert running.stdout.read().startswith("5 migrations applied, 0 already there: ")
    assert running.returncode == 0
    assert superuser.applied() == SAMPLE_IDS


def test_a_reader_that_has_seen_enough_is_no_failure(checkout: Checkout) -> None:
    checkout.write("0006_long", "SELECT 1;\n" + f"-- {'x' * 100}\n" * 5_000)
    with started(checkout, "plan") as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()  # as `| head -1` does
        assert running.stderr.read() == ""
    assert running.returncode == 0


def test_a_user_name_that_is_no_text_is_kept_as_far_as_it_is(checkout: Checkout, superuser: Database) -> None:
    environment = {name.encode(): value.encode() for name, value in checkout.environment().items()}
    answer = subprocess.run(
        checkout.command("deploy"),
        cwd=checkout.path,
        env={**environment, b"USER": b"bj\xf6rn"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert superuser.value("SELECT DISTINCT username FROM migration_history._yoyo_log") == "bj\ufffdrn"


def test_rollback_takes_back_what_is_behind_a_migration(checkout: Checkout, superuser: Database) -> None:
    for id_, undo in {
        "0005_pet_name": 'ALTER TABLE "Pet" DROP COLUMN name;',
        "0004_person_name": '-- transactional: false\nDROP INDEX CONCURRENTLY "Person_name_idx";',
    }.items():
        (checkout.path / "migrations" / f"{id_}.rollback.sql").write_text(undo)
    checkout.inv("migrate")
    answer = checkout.inv("rollback", "--to", "0003")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("2 migrations rolled back, 3 left: ")
    assert superuser.applied() == SAMPLE_IDS[:3]
    assert superuser.value("SELECT to_regclass('\"Person_name_idx\"')") is None
    assert checkout.inv("migrate").stdout.startswith("2 migrations applied, 3 already there: ")
    refused = checkout.inv("rollback", "--to", "0000")
    assert refused.returncode == 4
    assert "0003_pets.sql: it has no rollback file" in refused.stderr


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}])
def test_on_a_terminal_there_is_a_display_and_no_colour_where_none_is_wanted(
    checkout: Checkout, variables: dict[str, str]
) -> None:
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        checkout.command("deploy"),
        cwd=checkout.path,
        env=checkout.environment(TERM="xterm-256color", **variables),
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        pass  # the terminal's other side was closed
    finally:
        os.close(ours)
    running.communicate(timeout=30)
    assert running.returncode == 0
    assert b"0005_pet_name" in shown
    assert (b"\x1b[3" in shown) == (not variables)
