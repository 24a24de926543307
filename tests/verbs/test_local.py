"""The local verbs as a developer runs them."""

from __future__ import annotations

import os
import pty
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.support.sample import SAMPLE_IDS

if TYPE_CHECKING:
    from tests.support.sample import Database
    from tests.verbs.conftest import Checkout


def at_terminal(checkout: Checkout, typed: str, *arguments: str) -> tuple[int, str]:
    """Run a verb at a terminal where somebody types this; its exit code, and all that stands there in the end."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        checkout.command(*arguments),
        cwd=checkout.path,
        env=checkout.environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as asked:
        os.close(theirs)
        os.write(ours, typed.encode())
        said = b""
        with suppress(OSError):  # the terminal's other side is closed at the end
            while chunk := os.read(ours, 4096):
                said += chunk
    os.close(ours)
    return asked.returncode, said.decode()


def test_migrate_applies_what_is_pending_and_prints_the_url_masked(checkout: Checkout) -> None:
    answer = checkout.inv("migrate")
    assert answer.returncode == 0, answer.stderr
    first, second = answer.stdout.splitlines()
    assert first.startswith("5 migrations applied, 0 already there: ")
    assert second == f"DATABASE_URL={checkout.url.masked()}"


def test_url_prints_the_whole_url_alone_when_asked_to_show_it(checkout: Checkout) -> None:
    assert checkout.inv("url", "--show").stdout == f"{checkout.url.reveal()}\n"
    assert checkout.inv("url").stdout == f"{checkout.url.masked()}\n"


def test_url_for_yoyo_names_the_schema_of_the_history(checkout: Checkout) -> None:
    shown = checkout.inv("url", "--for", "yoyo").stdout
    assert shown.startswith("postgresql+psycopg://")
    assert "schema=migration_history" in shown


def test_psql_takes_its_own_arguments_behind_two_dashes(checkout: Checkout) -> None:
    answer = checkout.inv("psql", "--", "-XAtc", "SELECT 'two words', current_user")
    assert answer.stdout == f"two words|{checkout.url.user}\n", answer.stderr


def test_psql_elsewhere_is_read_only(checkout: Checkout) -> None:
    answer = checkout.inv("psql", "--env", "dev", "--", "-Xc", "CREATE TABLE t ()")
    assert answer.returncode == 1
    assert "read-only transaction" in answer.stderr


@pytest.mark.parametrize("arguments", [["reset"], ["reset", "--yes"]])
def test_reset_asks_and_where_nobody_is_there_to_ask_it_changes_nothing(
    checkout: Checkout, superuser: Database, arguments: list[str]
) -> None:
    checkout.inv("migrate")
    superuser.run("CREATE TABLE scratch (); ALTER ROLE " + str(checkout.url.user) + " CREATEDB")
    answer = checkout.inv(*arguments)
    gone = superuser.value("SELECT to_regclass('scratch')") is None
    assert (answer.returncode, gone) == ((0, True) if "--yes" in arguments else (2, False)), answer.stderr
    assert superuser.applied() == SAMPLE_IDS


def test_a_database_that_nothing_calls_local_is_asked_for_by_name_at_a_terminal_and_refused_without(
    checkout: Checkout, superuser: Database
) -> None:
    superuser.run("CREATE TABLE somebodys ()")
    refused = checkout.inv("migrate", "--wait", "5")
    assert (refused.returncode, superuser.applied()) == (3, [])
    assert "holds data, and nothing says that it is a local database" in refused.stderr
    code, said = at_terminal(checkout, f"{checkout.url.database}\n", "migrate")
    assert code == 0, said
    assert "Type the database's name to go on: " in said
    assert superuser.applied() == SAMPLE_IDS
    assert checkout.inv("rollback", "--to", "0005").returncode == 0


def test_migrations_of_another_branch_are_asked_about_at_a_terminal_and_refused_without(
    checkout: Checkout, superuser: Database
) -> None:
    checkout.write("0006_theirs", "CREATE TABLE theirs ();", "DROP TABLE theirs;")
    assert checkout.inv("migrate").returncode == 0
    for ending in (".sql", ".rollback.sql"):
        (checkout.path / "migrations" / f"0006_theirs{ending}").unlink()
    checkout.write("0006_ours", "CREATE TABLE ours ();", "DROP TABLE ours;")
    refused, unasked = checkout.inv("migrate"), checkout.inv("switch")
    assert (refused.returncode, refused.stderr.count("0006_theirs")) == (4, 1), refused.stderr
    assert (unasked.returncode, "--yes" in unasked.stderr) == (2, True)
    code, said = at_terminal(checkout, "n\n", "migrate")
    assert (code, superuser.applied()[-1]) == (4, "0006_theirs"), said
    code, said = at_terminal(checkout, "y\n", "migrate")
    assert "apply what is pending here? [y/N]" in said
    assert (code, superuser.applied()[-1]) == (0, "0006_ours"), said
    again = checkout.inv("switch", "--yes")
    assert (again.returncode, "nothing to do" in again.stdout) == (0, True), again.stderr


def test_reset_is_refused_elsewhere_before_it_connects(checkout: Checkout) -> None:
    answer = checkout.inv("reset", "--yes", DATABASE_URL=checkout.url.copy_with(host="db.invalid").reveal())
    assert answer.returncode == 3
    assert "not local" in answer.stderr


def test_doctor_tells_what_is_there_and_what_for(checkout: Checkout) -> None:
    answer = checkout.inv("doctor")
    assert answer.returncode == 0, answer.stderr
    for name in ("Python", "Docker", "Docker Compose", "pulumi", "Node.js", "Local database"):
        assert name in answer.stdout


def test_seed_says_which_table_is_missing_and_whether_a_migration_makes_it(checkout: Checkout) -> None:
    checkout.inv("migrate")
    answer = checkout.inv("seed")
    assert answer.returncode == 3
    assert "no table User, Thread, Message, ScopeConsent, and no migration makes it" in answer.stderr
    checkout.write("0006_thread", 'CREATE TABLE "Thread" ();')
    answer = checkout.inv("seed")
    assert answer.returncode == 3
    assert "0006_thread makes it. Run `./inv migrate` first." in answer.stderr


def test_rollback_undoes_the_last_one_after_a_question_or_back_to_a_number(
    checkout: Checkout, superuser: Database
) -> None:
    for number in range(6, 9):
        checkout.write(f"{number:04}_t", f"CREATE TABLE t{number} ();", f"DROP TABLE t{number};")
    checkout.inv("migrate")
    unasked = checkout.inv("rollback")
    assert (unasked.returncode, len(superuser.applied())) == (2, 8), unasked.stderr
    assert "Roll back 0008_t" in unasked.stderr
    assert checkout.inv("rollback", "--yes").returncode == 0
    assert superuser.applied()[-1] == "0007_t"
    assert checkout.inv("rollback", "--to", "5").returncode == 0
    assert superuser.applied() == SAMPLE_IDS
