"""Adoption of a database that plain yoyo, Prisma or a person migrated: recorded when it is what the files build."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pipeline.adopt.baseline import baseline
from pipeline.deploy import apply
from pipeline.deploy.observer import Observer
from pipeline.deploy.signals import as_exceptions
from pipeline.errors import (
    DatabaseFailed,
    Interrupted,
    InvalidPlan,
    MigrationFailed,
    Refused,
    SchemaDiffers,
    UsageError,
)
from pipeline.postgres.lock import KEY
from services import OWNER
from tests.support.counting_proxy import CountingProxy
from tests.support.sample import SAMPLE, SAMPLE_IDS, Database
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbclient.url import DatabaseURL
    from pipeline.adopt.baseline import Adoption
    from tests.support.counting_proxy import Link
    from tests.support.folders import FolderBuilder
    from tests.support.server import PostgresServer

YOYO_TABLES = "SELECT schemaname, tablename FROM pg_tables WHERE tablename LIKE '%yoyo%' ORDER BY 2"
PRISMA_TABLE = """
CREATE TABLE _prisma_migrations (
    id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL, finished_at timestamptz, migration_name varchar(255) NOT NULL,
    logs text, rolled_back_at timestamptz, started_at timestamptz NOT NULL DEFAULT now(),
    applied_steps_count int NOT NULL DEFAULT 0
)
"""


@pytest.fixture
def scratch(server: PostgresServer) -> Iterator[DatabaseURL]:
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def adopt(db: Database, sample: FolderBuilder, scratch: DatabaseURL) -> Callable[..., Adoption]:
    def run(through: str = "0005_pet_name") -> Adoption:
        return baseline(db.url, sample.read(), through=through, scratch=scratch)

    return run


def build_by_hand(db: Database, *ids: str) -> None:
    for id_ in ids:
        db.run(SAMPLE[id_].removeprefix("-- transactional: false\n"))


def yoyo_apply(db: Database, sample: FolderBuilder) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "yoyo",
            "apply",
            "--batch",
            "--no-config-file",
            "-d",
            db.url.for_yoyo().dsn,
            str(sample.path),
        ],
        check=True,
        capture_output=True,
    )


def test_what_plain_yoyo_applied_is_taken_over_with_its_tables(
    db: Database, sample: FolderBuilder, adopt: Callable[..., Adoption]
) -> None:
    yoyo_apply(db, sample)
    with pytest.raises(Refused, match="history of another tool"):
        apply(db.url, sample.read())
    adoption = adopt()
    assert (adoption.tool, adoption.recorded) == ("yoyo", ())
    assert {schema for schema, _ in db.rows(YOYO_TABLES)} == {"migration_history"}
    sample.write("0006_more", "CREATE TABLE more ();")
    report = apply(db.url, sample.read())
    assert (report.already, [each.id for each in report.applied]) == (5, ["0006_more"])


def test_a_dry_run_names_what_would_be_recorded_and_records_nothing(
    db: Database, sample: FolderBuilder, scratch: DatabaseURL
) -> None:
    build_by_hand(db, *SAMPLE_IDS)
    told = baseline(db.url, sample.read(), through="0005", scratch=scratch, dry_run=True)
    assert told.recorded == tuple(SAMPLE_IDS)
    assert db.value("SELECT to_regnamespace('migration_history')") is None


def test_an_adopted_file_has_its_checksum_from_then_on(
    db: Database, sample: FolderBuilder, adopt: Callable[..., Adoption]
) -> None:
    yoyo_apply(db, sample)
    adopt()
    sample.write("0003_pets", "SELECT 3;")
    with pytest.raises(InvalidPlan, match="edited after it was applied"):
        apply(db.url, sample.read())


def test_what_prisma_applied_is_recorded_under_our_names(
    db: Database, sample: FolderBuilder, adopt: Callable[..., Adoption]
) -> None:
    build_by_hand(db, *SAMPLE_IDS[:3])
    db.run(PRISMA_TABLE)
    db.run(
        "INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name) VALUES ('1', 'x', now(), '2024_init')"
    )
    adoption = adopt("0003")
    assert (adoption.tool, adoption.recorded) == ("Prisma", tuple(SAMPLE_IDS[:3]))
    assert [each.id for each in apply(db.url, sample.read()).applied] == SAMPLE_IDS[3:]


def test_a_database_without_any_history_can_be_adopted_too(db: Database, adopt: Callable[..., Adoption]) -> None:
    # it changes how the server writes definitions, and nothing of the database
    db.run(f"ALTER ROLE {OWNER} IN DATABASE {db.url.database} SET quote_all_identifiers = on")
    build_by_hand(db, *SAMPLE_IDS)
    adoption = adopt()
    assert (adoption.tool, adoption.recorded) == ("", tuple(SAMPLE_IDS))
    assert db.applied() == SAMPLE_IDS


def test_adopting_twice_records_nothing_more(
    db: Database, sample: FolderBuilder, adopt: Callable[..., Adoption], server: PostgresServer
) -> None:
    build_by_hand(db, *SAMPLE_IDS)
    adopt()
    logged = db.value("SELECT count(*) FROM migration_history._yoyo_log")
    again = server.create_database()
    assert baseline(db.url, sample.read(), through="0005", scratch=again).recorded == ()
    server.drop_database(again)
    assert db.value("SELECT count(*) FROM migration_history._yoyo_log") == logged


@pytest.mark.parametrize(
    ("drift", "told"),
    [
        ('ALTER TABLE "Pet" ADD COLUMN age int', "Pet"),
        ('ALTER TABLE "Person" ALTER name DROP NOT NULL', "name"),
        ('DROP INDEX "Person_name_idx"', "Person_name_idx"),
        ("CREATE TABLE extra ()", "extra"),
    ],
)
def test_a_database_that_differs_is_refused_and_the_difference_told(
    db: Database, adopt: Callable[..., Adoption], drift: str, told: str
) -> None:
    build_by_hand(db, *SAMPLE_IDS)
    db.run(drift)
    with pytest.raises(SchemaDiffers, match="differences") as caught:
        adopt()
    assert caught.value.exit_code == 3
    assert told in caught.value.message
    assert db.applied() == []
    assert db.value("SELECT to_regnamespace('migration_history')") is None


def test_a_database_that_is_at_an_earlier_file_is_refused_for_a_later_one(
    db: Database, adopt: Callable[..., Adoption]
) -> None:
    build_by_hand(db, *SAMPLE_IDS[:3])
    with pytest.raises(SchemaDiffers):
        adopt("0005")


def test_a_yoyo_that_is_at_work_is_not_disturbed(
    db: Database, sample: FolderBuilder, adopt: Callable[..., Adoption]
) -> None:
    yoyo_apply(db, sample)
    db.run("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 4711)")
    with pytest.raises(Refused, match="by process 4711"):
        adopt()
    assert {schema for schema, _ in db.rows(YOYO_TABLES)} == {"public"}


def test_a_prisma_migration_that_never_finished_is_not_adopted(db: Database, adopt: Callable[..., Adoption]) -> None:
    build_by_hand(db, *SAMPLE_IDS)
    db.run(PRISMA_TABLE)
    db.run("INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES ('1', 'x', '2024_init')")
    with pytest.raises(Refused, match="2024_init never finished"):
        adopt()


def test_an_answer_that_was_lost_is_not_taken_for_a_refusal(
    db: Database, sample: FolderBuilder, scratch: DatabaseURL
) -> None:
    """The record is written, and its answer never came: to say that nothing was recorded would be wrong."""
    build_by_hand(db, *SAMPLE_IDS)
    lost: list[int] = []

    def cut(link: Link, number: int) -> None:
        ours = f"datname = '{db.url.database}' AND application_name = 'db-pipeline baseline'"
        if not lost and db.rows(f"SELECT 1 FROM pg_stat_activity WHERE {ours} AND query LIKE 'BEGIN;%'"):
            until(lambda: db.applied() == SAMPLE_IDS)
            lost.append(number)
            link.drop()

    with CountingProxy(db.url.host, db.url.port or 5432) as proxy:
        proxy.after = cut
        url = db.url.copy_with(host="127.0.0.1", port=proxy.port)
        with pytest.raises(DatabaseFailed, match="whether anything was recorded is not known"):
            baseline(url, sample.read(), through="0005", scratch=scratch)
    assert lost
    assert db.applied() == SAMPLE_IDS


def test_a_file_that_fails_in_the_scratch_database_is_not_said_to_be_applied_anywhere_else(
    db: Database, sample: FolderBuilder, scratch: DatabaseURL
) -> None:
    sample.write("0005_pet_name", "SELECT 1/0;")
    with pytest.raises(MigrationFailed, match="in a scratch database") as caught:
        baseline(db.url, sample.read(), through="0005", scratch=scratch)
    assert caught.value.message.endswith("In the live one nothing was recorded.")
    assert db.applied() == []


def test_a_signal_before_the_record_is_written_changes_nothing(
    db: Database, sample: FolderBuilder, scratch: DatabaseURL
) -> None:
    with db.connect() as other:
        other.execute(f"SELECT pg_advisory_lock({KEY})")

        class Interrupting(Observer):
            def waiting(self, holder: str) -> None:
                assert holder
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(Interrupted, match="interrupted; nothing was recorded") as caught, as_exceptions():
            baseline(db.url, sample.read(), through="0005", scratch=scratch, observer=Interrupting())
    assert caught.value.exit_status == 143


def test_a_migration_that_is_not_there_cannot_be_adopted_through(adopt: Callable[..., Adoption]) -> None:
    with pytest.raises(UsageError, match="there is no migration 0042"):
        adopt("0042")


def test_what_yoyo_applied_and_the_folder_lacks_is_a_fault(
    db: Database, sample: FolderBuilder, adopt: Callable[..., Adoption]
) -> None:
    yoyo_apply(db, sample)
    db.run(
        "INSERT INTO _yoyo_migration VALUES (repeat('a', 64), '0009_unknown', now())",
    )
    with pytest.raises(InvalidPlan, match="the file is missing"):
        adopt()
