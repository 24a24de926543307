"""Rolling back: what goes wrong in between ends with a true statement, as in a deploy."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.deploy.observer import Observer
from pipeline.deploy.rolling_back import rollback
from pipeline.deploy.signals import as_exceptions
from pipeline.errors import DatabaseFailed, Interrupted, MigrationFailed

if TYPE_CHECKING:
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

NOT_TRANSACTIONAL = "-- transactional: false\n"


@pytest.fixture
def three(db: Database, folder: FolderBuilder) -> FolderBuilder:
    """Three applied files, each of which can be rolled back."""
    for number in (1, 2, 3):
        folder.write(f"000{number}_t", f"CREATE TABLE t{number} (a int);", f"DROP TABLE t{number};")
    apply(db.url, folder.read())
    return folder


def test_a_failure_says_what_is_rolled_back(db: Database, three: FolderBuilder) -> None:
    three.write("0002_t", "CREATE TABLE t2 (a int);", "DROP TABLE elsewhere;")
    with pytest.raises(MigrationFailed, match="elsewhere") as caught:
        rollback(db.url, three.read(), to="0000")
    assert "1 of 3 rolled back in this run." in caught.value.message
    assert db.applied() == ["0001_t", "0002_t"]
    outcome = caught.value.outcome
    assert outcome is not None
    assert (outcome.applied, outcome.stopped_at, outcome.backward) == (("0003_t",), "0002_t", True)


def test_a_lost_connection_says_what_is_rolled_back_at_least(db: Database, three: FolderBuilder) -> None:
    three.write("0002_t", "CREATE TABLE t2 (a int);", "SELECT pg_terminate_backend(pg_backend_pid());")
    with pytest.raises(DatabaseFailed, match="was lost") as caught:
        rollback(db.url, three.read(), to="0000")
    assert "at least 1 of 3 rolled back in this run." in caught.value.message


def test_ctrl_c_cancels_and_says_what_is_rolled_back(db: Database, three: FolderBuilder) -> None:
    asleep = "DROP TABLE t2; DO $$ BEGIN RAISE NOTICE 'asleep'; PERFORM pg_sleep(300); END $$;"
    three.write("0002_t", "CREATE TABLE t2 (a int);", asleep)

    class Interrupting(Observer):
        def notice(self, text: str) -> None:
            assert text == "asleep"
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="1 of 3 rolled back in this run") as caught, as_exceptions():
        rollback(db.url, three.read(), to="0000", observer=Interrupting())
    assert caught.value.exit_status == 130
    assert db.applied() == ["0001_t", "0002_t"]
    assert db.value("SELECT to_regclass('t2') IS NOT NULL") is True


def test_what_was_applied_last_is_rolled_back_first_whatever_its_number(db: Database, three: FolderBuilder) -> None:
    # as a dependency on a higher number once made it: 0002 behind 0003, which it builds on
    three.write("0002_t", "ALTER TABLE t3 ADD b int;", "ALTER TABLE t3 DROP COLUMN b;")
    db.run("DROP TABLE t2; ALTER TABLE t3 ADD b int")
    db.run(
        "UPDATE migration_history._yoyo_migration SET applied_at_utc = now() + interval '1s' WHERE migration_id ~ '0002'"
    )
    assert rollback(db.url, three.read(), to="0002").applied == ()
    assert [each.id for each in rollback(db.url, three.read(), to="0001").applied] == ["0002_t", "0003_t"]
    assert db.applied() == ["0001_t"]


def test_one_whose_instant_nobody_knows_is_rolled_back_by_its_number(db: Database, three: FolderBuilder) -> None:
    db.run("UPDATE migration_history._yoyo_migration SET applied_at_utc = NULL WHERE migration_id ~ '0002'")
    assert [each.id for each in rollback(db.url, three.read(), to="0000").applied] == ["0003_t", "0002_t", "0001_t"]


def test_an_index_is_dropped_with_the_lock_timeout_of_a_statement_outside_a_transaction(
    db: Database, superuser: Database, folder: FolderBuilder
) -> None:
    folder.write("0001_t", "CREATE TABLE t (a int);")
    index = f"{NOT_TRANSACTIONAL}CREATE INDEX CONCURRENTLY i ON t (a);"
    folder.write("0002_i", index, f"{NOT_TRANSACTIONAL}DROP INDEX CONCURRENTLY i;")
    apply(db.url, folder.read())
    superuser.run(
        "CREATE FUNCTION limits() RETURNS event_trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE WARNING 'limits % %', current_setting('lock_timeout'), current_setting('statement_timeout'); END $$"
    )
    superuser.run("CREATE EVENT TRIGGER limits ON ddl_command_start EXECUTE FUNCTION limits()")
    heard: list[str] = []

    class Listening(Observer):
        def notice(self, text: str) -> None:
            heard.append(text)

    rollback(db.url, folder.read(), to="0001", observer=Listening())
    assert heard == ["limits 0 6h"]
    assert db.value("SELECT to_regclass('i')") is None
