"""A file outside a transaction: what an earlier run left is taken over only when it is proven to be ours."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.deploy.observer import Observer
from pipeline.errors import DatabaseFailed, MigrationFailed, TimedOut
from pipeline.history.record import Author, started_sql
from pipeline.postgres.connect import open_session
from pipeline.postgres.lock import KEY, TRY
from tests.support.until import until

if TYPE_CHECKING:
    from tests.support.deploy_process import Processes
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


@pytest.mark.parametrize(
    ("table_name", "definition"),
    [
        pytest.param('"T"', 'ON "T" (b) WHERE "T".a > 3', id="a column with its table's name"),
        pytest.param('"my.T"', 'ON "my.T" (b)', id="a dot in the table's name"),
        pytest.param('"o.x"."my.T"', 'ON "o.x"."my.T" (b)', id="dots in the names of schema and table"),
        pytest.param("elsewhere.t", "ON ONLY elsewhere.t (lower(b)) INCLUDE (a)", id="another schema"),
    ],
)
def test_an_index_is_recognised_however_its_table_is_spelled(
    db: Database, folder: FolderBuilder, table_name: str, definition: str
) -> None:
    folder.write("0001_t", f'CREATE SCHEMA elsewhere; CREATE SCHEMA "o.x"; CREATE TABLE {table_name} (a int, b text);')
    apply(db.url, folder.read())
    folder.write("0002_i", f"{NOT_TRANSACTIONAL}CREATE INDEX CONCURRENTLY i {definition};")
    start(db, folder)
    db.run(f"CREATE INDEX i {definition}")
    before = db.value("SELECT relfilenode FROM pg_class WHERE relname = 'i'")
    assert [each.id for each in apply(db.url, folder.read()).applied] == ["0002_i"]
    assert db.value("SELECT relfilenode FROM pg_class WHERE relname = 'i'") == before


def test_an_index_on_the_whole_row_is_recorded_when_its_statement_succeeded(
    table: Database, folder: FolderBuilder
) -> None:
    table.run(
        'CREATE FUNCTION shown("T") RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT $1.b $$'  # no copy has that row type
    )
    folder.write("0002_i", f'{NOT_TRANSACTIONAL}CREATE INDEX CONCURRENTLY "T_shown_idx" ON "T" (public.shown("T"));')
    apply(table.url, folder.read())
    assert table.applied() == ["0001_t", "0002_i"]


def test_an_index_on_a_partitioned_table_is_refused_by_the_server_and_leaves_nothing(
    table: Database, folder: FolderBuilder
) -> None:
    table.run("CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF p DEFAULT")
    folder.write("0002_i", f"{NOT_TRANSACTIONAL}CREATE INDEX CONCURRENTLY i ON p (a);")
    with pytest.raises(MigrationFailed, match="partitioned table"):
        apply(table.url, folder.read())
    folder.write("0002_i", f"{NOT_TRANSACTIONAL}CREATE INDEX CONCURRENTLY i ON p1 (a);")
    assert [each.id for each in apply(table.url, folder.read()).applied] == ["0002_i"]


def test_a_file_that_waits_too_short_for_a_lock_ends_with_6_and_says_what_it_left(
    table: Database, folder: FolderBuilder
) -> None:
    folder.write("0002_i", f"-- pipeline: lock-timeout=50ms\n{NOT_TRANSACTIONAL}{INDEX};")
    with table.connect() as writer:
        writer.execute("BEGIN; INSERT INTO \"T\" VALUES (1, 'open')")
        with pytest.raises(TimedOut, match="left INVALID") as caught:
            apply(table.url, folder.read())
    assert caught.value.exit_code == 6
    assert "To edit the file instead, DROP INDEX CONCURRENTLY" in caught.value.remedy
    assert [each.id for each in apply(table.url, folder.read()).applied] == ["0002_i"]


def test_leftovers_of_a_cut_off_reindex_are_waited_for_and_dropped(
    table: Database, superuser: Database, folder: FolderBuilder, processes: Processes
) -> None:
    leftovers = "SELECT count(*) FROM pg_class WHERE relkind = 'i' AND relname ~ '^T.*_cc(new|old)[0-9]*$'"
    table.run('CREATE INDEX "T_b_idx" ON "T" (b)')
    folder.write("0002_i", f'{NOT_TRANSACTIONAL}REINDEX TABLE CONCURRENTLY "T";')
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'virtualxid' AND NOT granted"
    with table.connect() as writer:
        writer.execute("BEGIN; INSERT INTO \"T\" VALUES (1, 'open')")
        first = processes.start(table.url, folder.path)
        until(lambda: table.value(waits) == 1)
        first.kill()
        first.outcome()
        until(lambda: table.value(waits) == 0)
        assert superuser.value(leftovers) == 1
        second = processes.start(table.url, folder.path)
        until(lambda: table.value(waits) == 1)
        until(lambda: table.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DROP INDEX%'") == 1)
        assert _outlasts_the_lock_timeout_of_other_files(table, waits)
        writer.execute("ROLLBACK")
        outcome = second.outcome()
    assert outcome is not None
    assert (outcome.error, outcome.applied) == ("", ("0002_i",))
    assert superuser.value(leftovers) == 0


def _outlasts_the_lock_timeout_of_other_files(table: Database, waits: str) -> bool:
    try:
        until(lambda: table.value(waits) == 0, seconds=2.5)
    except TimeoutError:
        return True
    return False


def test_leftovers_are_not_taken_for_ours_when_the_file_was_edited(
    table: Database, superuser: Database, folder: FolderBuilder
) -> None:
    folder.write("0002_i", f'{NOT_TRANSACTIONAL}REINDEX TABLE CONCURRENTLY "Other";')
    start(table, folder)
    table.run('CREATE INDEX "T_b_idx_ccnew" ON "T" (b)')
    superuser.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = '\"T_b_idx_ccnew\"'::regclass")
    folder.write("0002_i", f'{NOT_TRANSACTIONAL}REINDEX TABLE CONCURRENTLY "T";')
    with pytest.raises(DatabaseFailed, match="leftovers of another REINDEX"):
        apply(table.url, folder.read())


def test_leftovers_on_a_partition_are_found(table: Database, superuser: Database, folder: FolderBuilder) -> None:
    table.run("CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF p DEFAULT")
    table.run("CREATE INDEX p1_ccnew ON p1 (a)")
    superuser.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'p1_ccnew'::regclass")
    folder.write("0002_i", f"{NOT_TRANSACTIONAL}REINDEX TABLE CONCURRENTLY p;")
    with pytest.raises(DatabaseFailed, match="leftovers of another REINDEX: p1_ccnew"):
        apply(table.url, folder.read())


def test_a_file_cannot_give_the_deploys_lock_away(db: Database, folder: FolderBuilder) -> None:
    folder.write("0001_t", f"{TABLE} SELECT pg_advisory_unlock_all();").write("0002_u", "CREATE TABLE u ();")
    folder.write("0003_i", f"{NOT_TRANSACTIONAL}{INDEX};")
    with open_session(db.url, application_name="a rival") as rival:
        got: list[object] = []

        class Trying(Observer):
            def applied(self, migration: str, milliseconds: int | None) -> None:
                assert (migration[:4] < "0004", milliseconds is None) == (True, False)
                if migration != "0003_i":  # between two files, and before the last good-bye
                    got.append(rival.run(f"SELECT {TRY}")[0].rows[0][0])

        apply(db.url, folder.read(), observer=Trying())
    assert got == ["f", "f"]


GIVES_THE_LOCK_AWAY = f"""
CREATE TABLE t (a int);
INSERT INTO t VALUES (1);
CREATE FUNCTION give_away(a int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_unlock_all();
    WHILE NOT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid() AND granted
                       AND classid::bigint << 32 | objid::bigint = {KEY})
    LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;
    RETURN a;
END $$;
"""


@pytest.mark.parametrize(
    "next_file", ["CREATE TABLE u ();", f"{NOT_TRANSACTIONAL}CREATE INDEX CONCURRENTLY u ON t (a);"]
)
def test_a_lock_that_a_statement_gave_away_and_a_rival_took_stops_the_deploy_before_the_next_file(
    db: Database, folder: FolderBuilder, next_file: str
) -> None:
    folder.write("0001_t", GIVES_THE_LOCK_AWAY)
    folder.write("0002_i", f"{NOT_TRANSACTIONAL}CREATE INDEX CONCURRENTLY i ON t (public.give_away(a));")
    folder.write("0003_u", next_file)
    with open_session(db.url, application_name="a rival") as rival:
        taking = threading.Thread(target=lambda: until(lambda: rival.run(f"SELECT {TRY}")[0].rows == (("t",),)))

        class Racing(Observer):
            def starting(self, pending: int) -> None:
                assert pending == 3
                taking.start()

        with pytest.raises(DatabaseFailed, match="gave the deploy's lock away, and a rival") as caught:
            apply(db.url, folder.read(), observer=Racing())
        taking.join()
    assert "2 of 3 applied in this run (through 0002_i)" in caught.value.message
    assert db.value("SELECT to_regclass('u')") is None
