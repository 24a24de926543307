"""One deploy at a time: who waits, for what, and what they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.deploy.locking import Deadlines
from pipeline.deploy.observer import Observer
from pipeline.errors import DatabaseFailed, TimedOut
from pipeline.postgres.connect import open_session
from pipeline.postgres.lock import KEY
from tests.support.counting_proxy import CountingProxy
from tests.support.sample import SAMPLE_IDS
from tests.support.until import until

if TYPE_CHECKING:
    from tests.support.deploy_process import Processes
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database
    from tests.support.server import PostgresServer

LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"


class Heard(Observer):
    def __init__(self) -> None:
        self.holders: list[str] = []

    def waiting(self, holder: str) -> None:
        self.holders.append(holder)


def test_a_deploy_that_waits_too_long_names_the_holder_and_changes_nothing(db: Database, sample: FolderBuilder) -> None:
    heard = Heard()
    with open_session(db.url, application_name="db-pipeline deploy by ada") as other:
        other.run(f"SELECT pg_advisory_lock({KEY})")
        pid = other.backend_pid
        with pytest.raises(TimedOut) as caught:
            apply(db.url, sample.read(), deadlines=Deadlines(lock=0.3), observer=heard)
    assert caught.value.exit_code == 6
    assert "db-pipeline deploy by ada" in str(caught.value)
    assert f"backend {pid}" in str(caught.value)
    assert len(heard.holders) == 1
    assert db.applied() == []


def test_the_lock_ends_with_the_deploy(db: Database, sample: FolderBuilder) -> None:
    apply(db.url, sample.read())
    until(lambda: db.value(LOCKS) == 0)


def test_another_database_of_the_same_server_has_a_lock_of_its_own(
    db: Database, server: PostgresServer, sample: FolderBuilder
) -> None:
    other = server.create_database()
    with open_session(other, application_name="other") as session:
        session.run(f"SELECT pg_advisory_lock({KEY})")
        apply(db.url, sample.read(), deadlines=Deadlines(lock=0))
    server.drop_database(other)


def test_eight_deploys_race_and_one_applies_while_the_others_find_nothing_to_do(
    db: Database, sample: FolderBuilder, processes: Processes
) -> None:
    barrier = processes.barrier(8)
    racers = [processes.start(db.url, sample.path, barrier=barrier) for _ in range(8)]
    outcomes = [racer.outcome() for racer in racers]
    assert [outcome.error for outcome in outcomes if outcome and outcome.error] == []
    assert sorted(outcome.applied for outcome in outcomes if outcome) == [()] * 7 + [tuple(SAMPLE_IDS)]
    assert db.applied() == SAMPLE_IDS


def test_a_deploy_waits_for_the_backend_of_a_killed_one_that_still_works(
    db: Database, folder: FolderBuilder, processes: Processes
) -> None:
    db.run("CREATE TABLE busy ()")
    folder.write("0001_waits", "-- pipeline: lock-timeout=1min\nALTER TABLE busy ADD a int;")
    with db.connect() as blocker, CountingProxy(db.url.host, db.url.port or 5432) as proxy:
        blocker.execute("BEGIN; LOCK TABLE busy")
        first = processes.start(db.url.copy_with(host="127.0.0.1", port=proxy.port), folder.path)
        until(lambda: db.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 1)
        # the server does not see that its client is gone: as behind a load balancer that keeps the connection
        for link in proxy.links:
            link.held = True
        first.kill()
        assert first.outcome() is None
        second = processes.start(db.url, folder.path)
        until(
            lambda: db.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'db-pipeline deploy'") == 2
        )
        assert db.applied() == []
        blocker.execute("COMMIT")
        until(lambda: db.applied() == ["0001_waits"])
        for link in proxy.links:
            link.drop()
        outcome = second.outcome()
    assert outcome is not None
    assert (outcome.error, outcome.applied) == ("", ())
    assert db.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'busy'::regclass AND attname = 'a'") == 1


def test_a_rival_that_does_not_ask_for_the_lock_is_met_at_the_record_before_any_work_is_done(
    db: Database, folder: FolderBuilder
) -> None:
    """As stock yoyo, or a file that gave the lock away: the record's primary key comes before the file's text."""
    apply(db.url, folder.write("0001_first", "CREATE TABLE first ();").read())
    db.run("CREATE SEQUENCE worked")  # what it counted stays counted when a transaction is undone
    folder.write(
        "0002_both", "-- pipeline: lock-timeout=50ms\nCREATE TABLE both_of_us (); SELECT nextval('public.worked');"
    )
    with db.connect() as rival:
        rival.execute("BEGIN")
        rival.execute(
            "INSERT INTO migration_history._yoyo_migration VALUES (%s, '0002_both', now())",
            (folder.read().by_id["0002_both"].hash,),
        )

        class Committing(Observer):
            def retrying(self, migration: str, why: str, seconds: float) -> None:
                assert (migration, seconds > 0) == ("0002_both", True), why
                rival.execute("COMMIT")

        with pytest.raises(DatabaseFailed, match="0002_both is recorded already, by its hash: by somebody else"):
            apply(db.url, folder.read(), observer=Committing())
    assert db.value("SELECT to_regclass('both_of_us')") is None
    assert db.value("SELECT is_called FROM worked") is False
    assert apply(db.url, folder.read()).already == 2


def test_a_large_file_is_read_before_the_lock(db: Database, folder: FolderBuilder) -> None:
    text = "".join(f"INSERT INTO t VALUES ({row}, 'it''s row {row}');\n" for row in range(10_000))
    read = (
        folder.write("0001_large", f"CREATE TABLE t (id int, label text);\n{text}")
        .write("0002_small", "SELECT 1;")
        .read()
    )
    with open_session(db.url, application_name="other") as other:
        other.run(f"SELECT pg_advisory_lock({KEY})")
        with pytest.raises(TimedOut):
            apply(db.url, read, deadlines=Deadlines(lock=0.0))
    assert ["forward" in vars(file) for file in read.files] == [True, False]
    apply(db.url, read)
    assert db.value("SELECT count(*) FROM t") == 10_000
    again = folder.read()
    apply(db.url, again)
    assert ["forward" in vars(file) for file in again.files] == [False, False]
