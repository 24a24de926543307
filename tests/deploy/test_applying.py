"""What a deploy does when nothing goes wrong, and how files are kept apart from each other and from their records."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.deploy.observer import Observer
from pipeline.errors import InvalidPlan, MigrationFailed
from pipeline.history.record import Author
from services import OWNER
from tests.support.sample import SAMPLE, SAMPLE_IDS
from tests.support.unwritten import writes_nothing

if TYPE_CHECKING:
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database


def test_from_zero_every_file_is_applied_in_order_and_recorded(db: Database, sample: FolderBuilder) -> None:
    report = apply(db.url, sample.read())
    assert [each.id for each in report.applied] == SAMPLE_IDS
    assert db.applied() == SAMPLE_IDS
    assert db.value("SELECT indisvalid FROM pg_index WHERE indexrelid = '\"Person_name_idx\"'::regclass") is True


def test_the_second_deploy_has_nothing_to_do_and_writes_nothing(
    migrated_sample: Database, sample: FolderBuilder
) -> None:
    report = writes_nothing(migrated_sample, lambda: apply(migrated_sample.url, sample.read()))
    assert (report.applied, report.already) == ((), len(SAMPLE))


def test_a_record_keeps_checksum_commit_actor_duration_and_the_wal_position_before_it(
    db: Database, folder: FolderBuilder
) -> None:
    text = "-- Slow on purpose\nSELECT pg_sleep(0.2);"
    before = db.value("SELECT pg_current_wal_insert_lsn()")
    apply(db.url, folder.write("0001_slow", text).read(), author=lambda: Author("ada", "laptop", "c0ffee"))
    ((operation, actor, host, comment),) = db.rows(
        "SELECT operation, username, hostname, comment FROM migration_history._yoyo_log"
    )
    notes = dict(pair.split("=") for pair in str(comment).split())
    assert (operation, actor, host, notes["commit"]) == ("apply", "ada", "laptop", "c0ffee")
    assert notes["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert 200 <= int(notes["ms"]) < 20_000
    assert db.value(f"SELECT '{before}'::pg_lsn <= '{notes['lsn']}'::pg_lsn") is True


def test_each_file_commits_by_itself(db: Database, folder: FolderBuilder) -> None:
    for number in range(1, 6):
        folder.write(f"000{number}_step", f"CREATE TABLE t{number} ();")
    apply(db.url, folder.read())
    transactions = db.rows("SELECT DISTINCT xmin::text FROM migration_history._yoyo_migration")
    assert len(transactions) == 5


def test_the_author_is_asked_for_only_when_something_is_pending(
    migrated_sample: Database, sample: FolderBuilder
) -> None:
    def nobody() -> Author:
        raise AssertionError("asked")

    apply(migrated_sample.url, sample.read(), author=nobody)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("CREATE TABLE t (); -- no newline; at the end '", id="trailing comment without a newline"),
        pytest.param("CREATE TABLE t ()", id="no semicolon"),
        pytest.param("CREATE TABLE t (); SELECT $body$ $body1$ $body$;", id="dollar tags that the runner uses too"),
        pytest.param(
            "CREATE TABLE t (); SELECT '$body', 'it''s', E'\\'', U&'\\0041', $$'$$;", id="every kind of quote"
        ),
        pytest.param("CREATE TABLE t ();\r\n-- crlf\r\nSELECT 1;\r\n", id="CRLF"),
        pytest.param("CREATE TABLE t (); COMMENT ON TABLE t IS 'ä € 😀 \\';", id="not ASCII"),
        pytest.param(
            "CREATE TABLE t (a int); INSERT INTO t SELECT 1; ALTER TABLE t ADD b int DEFAULT 2;", id="DDL and DML"
        ),
        pytest.param("CREATE TABLE t (); SET standard_conforming_strings = off;", id="a setting that changes quoting"),
    ],
)
def test_a_text_runs_as_it_is_and_the_next_file_is_recorded(db: Database, folder: FolderBuilder, body: str) -> None:
    folder.write("0001_body", body).write("0002_next", "CREATE TABLE u ();")
    apply(db.url, folder.read())
    assert db.applied() == ["0001_body", "0002_next"]
    assert db.value("SELECT to_regclass('t') IS NOT NULL AND to_regclass('u') IS NOT NULL") is True


OTHER_LOCKS = (
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() "
    "AND (objsubid, objid) IN ((1, 7), (2, 8))"
)
LATE = (
    "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON watched DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION leave_things(); INSERT INTO watched VALUES (1)"
)
WATCHED = """
CREATE TABLE watched (a int);
CREATE FUNCTION leave_things() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('search_path', 'pg_catalog', false), pg_advisory_lock(7);
    CREATE TEMPORARY TABLE leak ();
    RETURN NULL;
END $$;
CREATE FUNCTION has_a_last_value() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM lastval();
    RETURN true;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    RETURN false;
END $$;
"""


@pytest.mark.parametrize(
    ("leak", "probe"),
    [
        ("SET search_path = pg_catalog", "SELECT 1 WHERE current_setting('search_path') <> 'public'"),
        ("SET statement_timeout = '1ms'", "SELECT 1 WHERE current_setting('statement_timeout') = '1ms'"),
        ("CREATE TEMPORARY TABLE leak ()", "SELECT 1 WHERE to_regclass('pg_temp.leak') IS NOT NULL"),
        ("SET ROLE pg_read_all_stats", "SELECT 1 WHERE current_user <> session_user"),
        ("SET lock_timeout = 0", "SELECT 1 WHERE current_setting('lock_timeout') <> '2s'"),
        ("PREPARE leak AS SELECT 1", "SELECT 1 FROM pg_prepared_statements"),
        ("SET client_min_messages = error", "SELECT 1 WHERE current_setting('client_min_messages') <> 'notice'"),
        ("DECLARE leak CURSOR WITH HOLD FOR SELECT 1", "SELECT 1 FROM pg_cursors WHERE name = 'leak'"),
        ("LISTEN leak", "SELECT 1 FROM pg_listening_channels()"),
        ("SELECT pg_advisory_lock(7), pg_advisory_lock(7), pg_advisory_lock_shared(7, 8)", OTHER_LOCKS),
        ("CREATE SEQUENCE s; SELECT nextval('s')", "SELECT 1 WHERE public.has_a_last_value()"),
        (LATE, f"SELECT 1 WHERE current_setting('search_path') <> 'public' UNION ALL {OTHER_LOCKS}"),
        (LATE, "SELECT 1 WHERE to_regclass('pg_temp.leak') IS NOT NULL"),
    ],
)
def test_what_a_file_sets_ends_with_the_file(
    db: Database, folder: FolderBuilder, leak: str, probe: str, superuser: Database
) -> None:
    superuser.run(f"GRANT pg_read_all_stats TO {OWNER}")
    db.run(WATCHED)
    folder.write("0001_leak", f"{leak};")
    folder.write("0002_probe", f"DO $$ BEGIN IF EXISTS ({probe}) THEN RAISE 'it leaked'; END IF; END $$;")
    apply(db.url, folder.read())
    assert db.applied() == ["0001_leak", "0002_probe"]


def test_a_file_that_becomes_another_session_user_is_recorded_as_ours(
    db: Database, superuser: Database, folder: FolderBuilder
) -> None:
    folder.write("0001_leak", f"SET SESSION AUTHORIZATION {OWNER}; CREATE TABLE theirs ();")
    folder.write("0002_probe", "DO $$ BEGIN IF session_user <> 'postgres' THEN RAISE 'it leaked'; END IF; END $$;")
    apply(superuser.url, folder.read())
    assert superuser.applied() == ["0001_leak", "0002_probe"]
    assert db.value("SELECT tableowner FROM pg_tables WHERE tablename = 'theirs'") == OWNER


def test_a_file_that_is_tried_again_may_prepare_a_statement(db: Database, folder: FolderBuilder) -> None:
    db.run("CREATE TABLE busy ()")
    folder.write("0001_waits", "-- pipeline: lock-timeout=50ms\nPREPARE once AS SELECT 1; ALTER TABLE busy ADD a int;")
    with db.connect() as blocker:
        blocker.execute("BEGIN; LOCK TABLE busy")

        class Releasing(Observer):
            def retrying(self, migration: str, why: str, seconds: float) -> None:
                assert (migration, seconds > 0) == ("0001_waits", True), why
                blocker.execute("ROLLBACK")

        apply(db.url, folder.read(), observer=Releasing())
    assert db.applied() == ["0001_waits"]


@pytest.mark.parametrize(
    "statement",
    [
        "DO $$ BEGIN EXECUTE 'COMMIT'; END $$;",
        "DO $$ BEGIN COMMIT; END $$;",
        "DO $$ BEGIN EXECUTE 'SAVEPOINT a'; END $$;",
        "DO $$ BEGIN EXECUTE 'COPY t FROM STDIN'; END $$;",
        "DO $$ BEGIN EXECUTE 'CREATE INDEX CONCURRENTLY i ON t (a)'; END $$;",
        "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$; CALL p();",
    ],
)
def test_what_the_text_hides_from_us_the_server_refuses_and_nothing_of_the_file_stays(
    db: Database, folder: FolderBuilder, statement: str
) -> None:
    folder.write("0001_fine", "CREATE TABLE fine ();")
    folder.write("0002_hidden", f"CREATE TABLE t (a int); {statement}")
    with pytest.raises(MigrationFailed) as caught:
        apply(db.url, folder.read())
    assert caught.value.where.endswith("0002_hidden.sql:1")
    assert db.applied() == ["0001_fine"]
    assert db.value("SELECT to_regclass('t')") is None


def test_an_error_stops_the_run_and_says_which_line_and_what_is_applied(db: Database, folder: FolderBuilder) -> None:
    folder.write("0001_fine", "CREATE TABLE fine ();")
    folder.write("0002_broken", "CREATE TABLE t ();\n\nCREATE TABEL u ();")
    folder.write("0003_never", "CREATE TABLE never ();")
    with pytest.raises(MigrationFailed) as caught:
        apply(db.url, folder.read())
    assert caught.value.exit_code == 5
    assert caught.value.where.endswith("0002_broken.sql:3")
    assert 'syntax error at or near "TABEL"' in caught.value.message
    assert "1 of 3 applied in this run (through 0001_fine); nothing of 0002_broken is." in caught.value.message
    assert db.applied() == ["0001_fine"]
    assert db.value("SELECT to_regclass('t')") is None


def test_an_error_at_commit_leaves_nothing_of_the_file(db: Database, folder: FolderBuilder) -> None:
    folder.write(
        "0001_deferred", "CREATE TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO t VALUES (1), (1);"
    )
    with pytest.raises(MigrationFailed, match="duplicate key"):
        apply(db.url, folder.read())
    assert db.applied() == []
    assert db.value("SELECT to_regclass('t')") is None


def test_after_an_error_at_commit_the_server_has_nothing_to_warn_of(db: Database, folder: FolderBuilder) -> None:
    folder.write(
        "0001_deferred", "CREATE TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO t VALUES (1), (1);"
    )
    heard: list[str] = []

    class Listening(Observer):
        def notice(self, text: str) -> None:
            heard.append(text)

    with pytest.raises(MigrationFailed, match="duplicate key"):
        apply(db.url, folder.read(), observer=Listening())
    assert heard == []


def test_a_rerun_after_a_correction_goes_on_where_it_stopped(db: Database, folder: FolderBuilder) -> None:
    folder.write("0001_fine", "CREATE TABLE fine ();").write("0002_broken", "SELECT 1/0;")
    with pytest.raises(MigrationFailed, match="division by zero"):
        apply(db.url, folder.read())
    report = apply(db.url, folder.write("0002_broken", "SELECT 1/1;").read())
    assert [each.id for each in report.applied] == ["0002_broken"]


def test_an_edited_file_stops_a_deploy_before_anything_runs(migrated_sample: Database, sample: FolderBuilder) -> None:
    sample.write("0003_pets", "SELECT 3;").write("0006_more", "CREATE TABLE more ();")
    with pytest.raises(InvalidPlan, match="edited after it was applied") as caught:
        apply(migrated_sample.url, sample.read())
    assert caught.value.exit_code == 4
    assert migrated_sample.applied() == SAMPLE_IDS


def test_more_text_than_one_batch_takes_is_sent_in_several(db: Database, folder: FolderBuilder) -> None:
    filler = "-- " + "x" * 700_000
    for number in range(1, 5):
        folder.write(f"000{number}_large", f"{filler}\nCREATE TABLE t{number} ();")
    apply(db.url, folder.read())
    assert len(db.applied()) == 4


def test_a_setting_of_the_file_holds_for_that_file(db: Database, folder: FolderBuilder) -> None:
    folder.write("0001_short", "-- pipeline: statement-timeout=50ms\nSELECT pg_sleep(60);")
    with pytest.raises(MigrationFailed, match="statement timeout") as caught:
        apply(db.url, folder.read())
    assert "statement-timeout" in caught.value.remedy


def test_every_session_has_the_settings_that_make_a_killed_deploy_harmless(db: Database, folder: FolderBuilder) -> None:
    names = {
        "client_connection_check_interval": "200ms",
        "lock_timeout": "2s",
        "statement_timeout": "15min",
        "idle_in_transaction_session_timeout": "1min",
        "search_path": "public",
        "default_transaction_isolation": "read committed",
        "idle_session_timeout": "10min",
        "TimeZone": "UTC",
    }
    checks = " OR ".join(f"current_setting('{name}') <> '{value}'" for name, value in names.items())
    db.run(f"ALTER DATABASE {db.url.database} SET search_path = elsewhere")
    folder.write("0001_probe", f"DO $$ BEGIN IF {checks} THEN RAISE 'a setting is missing'; END IF; END $$;")
    apply(db.url, folder.read())
    assert db.applied() == ["0001_probe"]
