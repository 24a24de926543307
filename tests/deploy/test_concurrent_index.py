"""A file outside a transaction: what an earlier run left is taken over only when it is proven to be ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.deploy.observer import Observer
from pipeline.errors import DatabaseFailed, MigrationFailed
from pipeline.history.record import Author, started_sql
from pipeline.postgres.connect import open_session

if TYPE_CHECKING:
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

TABLE = 'CREATE TABLE "T" (a int, b text); INSERT INTO "T" SELECT n % 10, n::text FROM generate_series(1, 1000) n;'
INDEX = 'CREATE INDEX CONCURRENTLY "T_b_idx" ON "T" (b) WHERE a > 3'
NOT_TRANSACTIONAL = "-- transactional: false\n"
DEFINITION = "SELECT pg_get_indexdef('\"T_b_idx\"'::regclass)"
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = '\"T_b_idx\"'::regclass"


@pytest.fixture
def table(db: Database, folder: FolderBuilder) -> Database:
    """The table is there, the index is pending."""
    apply(db.url, folder.write("0001_t", TABLE).read())
    folder.write("0002_i", f"{NOT_TRANSACTIONAL}{INDEX};")
    return db


def start(db: Database, folder: FolderBuilder, existed: str = "''") -> None:
    """What a run leaves in the history that was killed after it had started the second file."""
    with open_session(db.url, application_name="killed") as session:
        session.run(started_sql(folder.read().by_id["0002_i"], Author("ada"), existed))


def invalidate(superuser: Database) -> None:
    superuser.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = '\"T_b_idx\"'::regclass")


def oid(db: Database) -> object:
    return db.value("SELECT '\"T_b_idx\"'::regclass::oid")


def test_killed_before_the_statement_it_is_built(table: Database, folder: FolderBuilder) -> None:
    start(table, folder)
    assert [each.id for each in apply(table.url, folder.read()).applied] == ["0002_i"]
    assert table.value(VALID) is True


def test_killed_after_the_statement_it_is_recorded_and_not_built_again(table: Database, folder: FolderBuilder) -> None:
    start(table, folder)
    table.run(INDEX)
    built = oid(table)
    apply(table.url, folder.read())
    assert table.applied() == ["0001_t", "0002_i"]
    assert oid(table) == built


def test_killed_during_the_statement_its_invalid_index_is_dropped_and_built_again(
    table: Database, superuser: Database, folder: FolderBuilder
) -> None:
    start(table, folder)
    table.run(INDEX)
    invalidate(superuser)
    left = oid(table)
    apply(table.url, folder.read())
    assert table.value(VALID) is True
    assert oid(table) != left


@pytest.mark.parametrize("valid", [True, False])
def test_an_index_of_that_name_with_another_definition_stops_the_deploy(
    table: Database, superuser: Database, folder: FolderBuilder, valid: bool
) -> None:
    start(table, folder)
    table.run('CREATE INDEX "T_b_idx" ON "T" (a)')
    if not valid:
        invalidate(superuser)
    before = table.value(DEFINITION)
    with pytest.raises(DatabaseFailed, match="cannot be proven to have built") as caught:
        apply(table.url, folder.read())
    assert "DROP INDEX CONCURRENTLY" in caught.value.remedy
    assert table.value(DEFINITION) == before
    assert table.applied() == ["0001_t"]


def test_an_index_of_that_name_on_another_table_stops_the_deploy(table: Database, folder: FolderBuilder) -> None:
    start(table, folder)
    table.run('CREATE TABLE other (a int, b text); CREATE INDEX "T_b_idx" ON other (b) WHERE a > 3')
    with pytest.raises(DatabaseFailed, match="cannot be proven"):
        apply(table.url, folder.read())


def test_a_file_that_was_edited_after_it_was_started_stops_the_deploy(table: Database, folder: FolderBuilder) -> None:
    start(table, folder)
    table.run(INDEX)
    folder.write("0002_i", f"{NOT_TRANSACTIONAL}-- edited\n{INDEX};")
    with pytest.raises(DatabaseFailed, match="cannot be proven"):
        apply(table.url, folder.read())


def test_an_index_that_was_there_before_the_first_start_is_not_taken_over(
    table: Database, folder: FolderBuilder
) -> None:
    table.run(INDEX)
    for _ in range(2):  # the second run knows from the history what the first one found
        with pytest.raises(MigrationFailed, match="already exists"):
            apply(table.url, folder.read())
    assert table.value(VALID) is True


def test_if_not_exists_takes_an_index_that_is_as_the_file_says(table: Database, folder: FolderBuilder) -> None:
    table.run(INDEX)
    folder.write("0002_i", NOT_TRANSACTIONAL + INDEX.replace("CONCURRENTLY", "CONCURRENTLY IF NOT EXISTS"))
    apply(table.url, folder.read())
    assert table.applied() == ["0001_t", "0002_i"]


def test_if_not_exists_does_not_take_an_invalid_index(
    table: Database, superuser: Database, folder: FolderBuilder
) -> None:
    table.run(INDEX)
    invalidate(superuser)
    folder.write("0002_i", NOT_TRANSACTIONAL + INDEX.replace("CONCURRENTLY", "CONCURRENTLY IF NOT EXISTS"))
    with pytest.raises(DatabaseFailed, match="INVALID"):
        apply(table.url, folder.read())
    assert table.applied() == ["0001_t"]


def test_a_unique_index_that_fails_leaves_nothing_behind(table: Database, folder: FolderBuilder) -> None:
    folder.write("0002_i", f'{NOT_TRANSACTIONAL}CREATE UNIQUE INDEX CONCURRENTLY "T_a_key" ON "T" (a);')
    with pytest.raises(MigrationFailed, match="could not create unique index"):
        apply(table.url, folder.read())
    assert table.value("SELECT to_regclass('\"T_a_key\"')") is None
    table.run('DELETE FROM "T" WHERE b::int > 9')
    assert [each.id for each in apply(table.url, folder.read()).applied] == ["0002_i"]


def test_an_open_transaction_is_waited_for_longer_than_the_lock_timeout_of_other_files(
    table: Database, folder: FolderBuilder
) -> None:
    # an index expression is evaluated while the statement runs: it tells which limits were in force
    table.run(
        "CREATE FUNCTION watch(a int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE WARNING 'limits % %', current_setting('lock_timeout'), current_setting('statement_timeout'); "
        "RETURN a; END $$"
    )
    folder.write("0002_i", f'{NOT_TRANSACTIONAL}CREATE INDEX CONCURRENTLY "T_w_idx" ON "T" (public.watch(a));')
    heard: list[str] = []

    class Listening(Observer):
        def notice(self, text: str) -> None:
            heard.append(text)

    apply(table.url, folder.read(), observer=Listening())
    assert set(heard) >= {"limits 0 6h"}


def test_dropping_an_index_that_a_killed_run_dropped_already_is_recorded(
    table: Database, folder: FolderBuilder
) -> None:
    folder.write("0002_i", f'{NOT_TRANSACTIONAL}DROP INDEX CONCURRENTLY "T_b_idx";')
    start(table, folder, existed="'12345'")
    apply(table.url, folder.read())
    assert table.applied() == ["0001_t", "0002_i"]


def test_leftovers_of_a_killed_reindex_are_dropped_before_it_runs_again(
    table: Database, superuser: Database, folder: FolderBuilder
) -> None:
    table.run('CREATE INDEX "T_b_idx" ON "T" (b)')
    folder.write("0002_i", f'{NOT_TRANSACTIONAL}REINDEX INDEX CONCURRENTLY "T_b_idx";')
    start(table, folder)
    table.run('CREATE INDEX "T_b_idx_ccnew" ON "T" (b)')
    superuser.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = '\"T_b_idx_ccnew\"'::regclass")
    apply(table.url, folder.read())
    assert table.value("SELECT to_regclass('\"T_b_idx_ccnew\"')") is None
    assert table.applied() == ["0001_t", "0002_i"]


def test_leftovers_of_somebody_elses_reindex_stop_the_deploy(
    table: Database, superuser: Database, folder: FolderBuilder
) -> None:
    table.run('CREATE INDEX "T_b_idx" ON "T" (b); CREATE INDEX "T_b_idx_ccnew" ON "T" (b)')
    superuser.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = '\"T_b_idx_ccnew\"'::regclass")
    folder.write("0002_i", f'{NOT_TRANSACTIONAL}REINDEX TABLE CONCURRENTLY "T";')
    for _ in range(2):
        with pytest.raises(DatabaseFailed, match="leftovers of another REINDEX"):
            apply(table.url, folder.read())
    assert table.applied() == ["0001_t"]


def test_vacuum_runs_and_is_recorded(table: Database, folder: FolderBuilder) -> None:
    folder.write("0002_i", f'{NOT_TRANSACTIONAL}VACUUM (ANALYZE) "T";')
    apply(table.url, folder.read())
    assert table.applied() == ["0001_t", "0002_i"]
