"""A history that lacks something, or holds what no deploy writes: said as it is, never a traceback, never passed over."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from pipeline.adopt.baseline import baseline
from pipeline.console.documents import status_document
from pipeline.deploy import apply, inspect_server
from pipeline.deploy.observer import Observer
from pipeline.deploy.status import read_status
from pipeline.deploy.target import Target
from pipeline.errors import DatabaseFailed, InvalidPlan, MigrationFailed, Refused
from tests.support.sample import SAMPLE, SAMPLE_IDS, Database
from verbs.status import show_status

if TYPE_CHECKING:
    from pipeline.deploy.status import DeployStatus
    from tests.support.folders import FolderBuilder
    from tests.support.server import PostgresServer

LOG = "migration_history._yoyo_log"
RECORDS = "migration_history._yoyo_migration"


def seen(db: Database, folder: FolderBuilder) -> DeployStatus:
    return read_status(db.url, folder.read(), target=Target(), observer=Observer())


class Listening(Observer):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def note(self, text: str) -> None:
        self.heard.append(text)


@pytest.fixture
def dump_without_history(db: Database, sample: FolderBuilder) -> Database:
    """As `pg_dump --schema=public` and a restore leave it."""
    apply(db.url, sample.read())
    db.run("DROP SCHEMA migration_history CASCADE")
    return db


def test_a_dump_without_its_history_is_named_with_what_adopts_it(
    dump_without_history: Database, sample: FolderBuilder, server: PostgresServer
) -> None:
    db = dump_without_history
    (warning,) = seen(db, sample).warnings
    assert 'has tables (as "Person") and no history' in warning
    assert "./inv baseline" in warning
    for _ in range(2):  # the first attempt leaves a history, with nothing in it
        listening = Listening()
        with pytest.raises(MigrationFailed, match='"Person" already exists') as caught:
            apply(db.url, sample.read(), observer=listening)
        assert "./inv baseline" in caught.value.remedy
        assert listening.heard == [warning]
    scratch = server.create_database()
    baseline(db.url, sample.read(), through="0005", scratch=scratch)
    server.drop_database(scratch)
    assert seen(db, sample).warnings == ()


def test_an_empty_database_and_one_with_an_extension_alone_have_no_tables(
    db: Database, superuser: Database, sample: FolderBuilder
) -> None:
    assert seen(db, sample).warnings == ()
    superuser.run("CREATE TABLE made_by_it (); ALTER EXTENSION plpgsql ADD TABLE made_by_it")
    assert seen(db, sample).warnings == ()


def test_a_failure_never_says_that_a_file_may_be_edited_which_another_environment_may_have(
    db: Database, folder: FolderBuilder
) -> None:
    with pytest.raises(MigrationFailed) as caught:
        apply(db.url, folder.write("0001_a", "SELECT 1/0;").read())
    assert "may be edited" not in str(caught.value)
    assert "If no other environment has it applied" in caught.value.remedy


@pytest.mark.parametrize("table", ["_yoyo_log", "_yoyo_version", "environment_marker", "role_password"])
def test_a_missing_table_is_named_and_what_the_remedy_says_repairs_it(
    migrated_sample: Database, sample: FolderBuilder, table: str
) -> None:
    migrated_sample.run(f"DROP TABLE migration_history.{table}")
    with pytest.raises(Refused, match=f"is incomplete: the schema migration_history lacks {table}") as caught:
        inspect_server(migrated_sample.url)
    with pytest.raises(Refused, match="incomplete"):
        apply(migrated_sample.url, sample.read())
    for statement in re.findall(r"(?:CREATE TABLE|INSERT INTO) [^;]+;", caught.value.remedy):
        migrated_sample.run(statement)
    assert apply(migrated_sample.url, sample.read()).already == len(SAMPLE)


def test_without_the_records_the_remedy_is_a_backup_or_an_adoption(
    migrated_sample: Database, sample: FolderBuilder, server: PostgresServer
) -> None:
    migrated_sample.run(f"DROP TABLE {RECORDS}")
    with pytest.raises(Refused, match="lacks _yoyo_migration") as caught:
        inspect_server(migrated_sample.url)
    assert "DROP SCHEMA migration_history CASCADE" in caught.value.remedy
    migrated_sample.run("DROP SCHEMA migration_history CASCADE")
    scratch = server.create_database()
    baseline(migrated_sample.url, sample.read(), through="0005", scratch=scratch)
    server.drop_database(scratch)
    assert apply(migrated_sample.url, sample.read()).already == len(SAMPLE)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("DROP SCHEMA migration_history CASCADE; CREATE SCHEMA migration_history", "lacks _yoyo_migration, _yoyo_log"),
        ("DELETE FROM migration_history._yoyo_version", "_yoyo_version has no row"),
        (f"ALTER TABLE {LOG} DROP COLUMN comment", "could not be read"),
    ],
)
def test_a_history_that_cannot_be_read_is_refused_with_a_reason(
    migrated_sample: Database, sample: FolderBuilder, damage: str, message: str
) -> None:
    migrated_sample.run(damage)
    with pytest.raises((Refused, DatabaseFailed), match=message):
        apply(migrated_sample.url, sample.read())


@pytest.mark.parametrize(
    "damage",
    [
        f"TRUNCATE {LOG}",
        f"UPDATE {LOG} SET comment = ''",
        f"UPDATE {LOG} SET comment = NULL, created_at_utc = NULL",
        f"UPDATE {LOG} SET comment = 'sha256=of-something'",
    ],
)
def test_where_no_checksum_is_known_that_is_said(migrated_sample: Database, sample: FolderBuilder, damage: str) -> None:
    migrated_sample.run(damage)
    (warning,) = seen(migrated_sample, sample).warnings
    assert "no checksum is known of 0001_people, 0002_some_people, 0003_pets and 2 more" in warning
    listening = Listening()
    assert apply(migrated_sample.url, sample.read(), observer=listening).already == len(SAMPLE)
    assert listening.heard == [warning]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(
            f"INSERT INTO {LOG} SELECT gen_random_uuid(), migration_hash, migration_id, 'rollback', '', '', '', "
            f"now() + interval '1 day' FROM {RECORDS}",
            id="a later rollback row",
        ),
        pytest.param(
            f"INSERT INTO {LOG} SELECT gen_random_uuid(), migration_hash, migration_id, 'rollback', '', '', '', NULL "
            f"FROM {RECORDS}",
            id="a rollback row of no time",
        ),
        pytest.param(
            f"INSERT INTO {LOG} SELECT gen_random_uuid(), migration_hash, migration_id, 'mark', '', '', '', 'infinity' "
            f"FROM {RECORDS}",
            id="a later mark without a checksum",
        ),
        pytest.param(
            f"INSERT INTO {LOG} SELECT gen_random_uuid(), migration_hash, migration_id, 'apply', '', '', "
            f"'sha256={'0' * 64}', now() - interval '1 year' FROM {RECORDS}",
            id="an earlier life of the file",
        ),
        pytest.param(f"UPDATE {RECORDS} SET applied_at_utc = NULL", id="records of no time"),
        pytest.param(f"UPDATE {LOG} SET created_at_utc = NULL", id="log rows of no time"),
    ],
)
def test_no_other_row_of_the_log_hides_that_a_file_was_edited(
    migrated_sample: Database, sample: FolderBuilder, damage: str
) -> None:
    migrated_sample.run(damage)
    assert seen(migrated_sample, sample).plan.faults == ()
    sample.write("0003_pets", "SELECT 3;")
    assert seen(migrated_sample, sample).plan.edited == ("0003_pets",)
    with pytest.raises(InvalidPlan, match="edited after it was applied"):
        apply(migrated_sample.url, sample.read())


@pytest.mark.parametrize(
    "instant", ["'infinity'", "'-infinity'", "'0044-03-15 12:00:00 BC'", "'294276-01-01'", "'epoch'", "NULL"]
)
def test_an_instant_that_python_does_not_know_is_no_traceback(
    migrated_sample: Database, sample: FolderBuilder, instant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    migrated_sample.run(f"UPDATE {RECORDS} SET applied_at_utc = {instant}; UPDATE {LOG} SET created_at_utc = {instant}")
    found = seen(migrated_sample, sample)
    assert [each.id for each in found.plan.applied] == SAMPLE_IDS
    show_status(found)
    assert "5 applied, 0 pending: up to date" in capsys.readouterr().out
    applied = json.loads(json.dumps(asdict(status_document(None, found))))["applied"]
    assert {each["applied_at"] for each in applied} == ({"1970-01-01T00:00:00+00:00"} if "epoch" in instant else {None})
    assert apply(migrated_sample.url, sample.read()).already == len(SAMPLE)


@pytest.mark.parametrize("number", ["\u00b2", "\u0663", "-1", "1e3", "9" * 150, ""])
def test_a_duration_that_is_no_number_is_not_known(
    migrated_sample: Database, sample: FolderBuilder, number: str
) -> None:
    migrated_sample.run(f"UPDATE {LOG} SET comment = regexp_replace(comment, 'ms=[0-9]+', 'ms={number}')")
    assert {each.duration_ms for each in seen(migrated_sample, sample).plan.applied} == {None}


def test_a_record_without_an_id_is_a_fault_with_a_remedy(migrated_sample: Database, sample: FolderBuilder) -> None:
    migrated_sample.run(f"UPDATE {RECORDS} SET migration_id = NULL WHERE migration_id ~ '0005'")
    assert seen(migrated_sample, sample).plan.faults == ()  # its log row has it
    migrated_sample.run(f"TRUNCATE {LOG}")
    (fault,) = seen(migrated_sample, sample).plan.faults
    assert "a record without a migration's id" in fault.message


def test_a_record_of_another_id_under_the_files_hash_is_shown_how_to_be_found(
    migrated_sample: Database, sample: FolderBuilder
) -> None:
    sample.write("0006_more", "CREATE TABLE more ();")
    hash_ = sample.read().by_id["0006_more"].hash
    migrated_sample.run(f"UPDATE {RECORDS} SET migration_hash = '{hash_}' WHERE migration_id = '0005_pet_name'")
    with pytest.raises(DatabaseFailed, match="recorded already, by its hash") as caught:
        apply(migrated_sample.url, sample.read())
    query = caught.value.remedy.partition("look: ")[2]
    assert migrated_sample.rows(query)[0][1] == "0005_pet_name"
