"""Faults that are nobody's file: each ends with a true statement, the right exit code, and a rerun that converges."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply, transactional
from pipeline.deploy.locking import Deadlines
from pipeline.deploy.observer import Observer
from pipeline.deploy.status import read_status
from pipeline.deploy.target import Target
from pipeline.errors import DatabaseFailed, TimedOut
from pipeline.postgres.connect import open_session
from pipeline.postgres.embedded import EmbeddedServer
from tests.support.counting_proxy import CountingProxy
from tests.support.sample import SAMPLE_IDS, Database
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from tests.support.deploy_process import Processes
    from tests.support.folders import FolderBuilder
    from tests.support.server import PostgresServer, RestartableServer


@pytest.mark.parametrize("crash", [False, True])
def test_a_server_that_restarts_in_the_middle_is_asked_what_is_applied(
    database_that_lasts: DatabaseURL,
    restartable_server: RestartableServer,
    folder: FolderBuilder,
    processes: Processes,
    crash: bool,
) -> None:
    db = Database(database_that_lasts)
    folder.write("0001_first", "CREATE TABLE first ();").write("0002_long", "CREATE TABLE t (); SELECT pg_sleep(300);")
    process = processes.start(db.url, folder.path)
    until(lambda: db.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 1)
    restartable_server.restart(crash=crash)
    outcome = process.outcome()
    assert outcome is not None
    assert outcome.exit_code == 5
    assert "was lost" in outcome.error
    assert "1 of 2 applied in this run (through 0001_first); nothing of 0002_long is." in outcome.error
    assert db.applied() == ["0001_first"]
    folder.write("0002_long", "CREATE TABLE t ();")
    assert [each.id for each in apply(db.url, folder.read()).applied] == ["0002_long"]


def test_a_server_that_stays_away_is_reported_with_what_is_known(
    database_that_lasts: DatabaseURL, restartable_server: RestartableServer, folder: FolderBuilder
) -> None:
    db = Database(database_that_lasts)
    folder.write("0001_first", "CREATE TABLE first ();").write("0002_long", "SELECT pg_sleep(300);")
    failure: list[DatabaseFailed] = []

    def deploy() -> None:
        try:
            apply(db.url, folder.read(), deadlines=Deadlines(connect=0.5))
        except DatabaseFailed as error:
            failure.append(error)

    running = threading.Thread(target=deploy)
    running.start()
    until(lambda: db.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 1)
    restartable_server.stop(crash=True)
    running.join(30)
    restartable_server.start()
    (error,) = failure
    assert "at least 1 of 2 applied in this run (through 0001_first)" in error.message
    assert "no new one could be had" in error.message
    assert error.outcome is not None
    assert (error.outcome.applied, error.outcome.at_least) == (("0001_first",), True)


def test_a_compute_that_takes_seconds_to_wake_is_waited_for(db: Database, sample: FolderBuilder) -> None:
    with CountingProxy(db.url.host, db.url.port or 5432, listen_after=2.0) as proxy:
        report = apply(db.url.copy_with(host="127.0.0.1", port=proxy.port), sample.read())
    assert [each.id for each in report.applied] == SAMPLE_IDS


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    """An embedded server for one test, in a folder that an unprivileged account can reach."""
    folder = Path(tempfile.mkdtemp(prefix="db-tests-own-"))
    folder.chmod(0o755)
    server = EmbeddedServer(folder / "server")
    yield server
    server.destroy()
    shutil.rmtree(folder)


@pytest.fixture
def standby(own_server: EmbeddedServer) -> DatabaseURL:
    """A server in recovery that answers queries."""
    record = own_server.start()
    own_server.stop()
    signal_file = record.data / "standby.signal"
    signal_file.touch()
    os.chown(signal_file, record.data.stat().st_uid, -1)
    own_server.start()
    return record.owner


@pytest.fixture
def small_disk() -> Iterator[DatabaseURL]:
    """A database on a file system that is nearly full."""
    folder = Path(tempfile.mkdtemp(prefix="db-tests-small-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=120m,mode=0755", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip("a small file system can be mounted by root alone")
    server = EmbeddedServer(folder / "server", settings={"max_wal_size": "32MB", "min_wal_size": "32MB"})
    try:
        yield server.start().owner
    finally:
        server.destroy()
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def test_a_port_where_nobody_listens_is_said_after_a_short_while(db: Database, sample: FolderBuilder) -> None:
    with CountingProxy(db.url.host, db.url.port or 5432) as proxy:
        gone = proxy.port
    with pytest.raises(DatabaseFailed, match="Connection refused") as caught:
        apply(db.url.copy_with(host="127.0.0.1", port=gone), sample.read(), deadlines=Deadlines(connect=0.5))
    assert "doctor" in caught.value.remedy


def test_a_wrong_password_is_not_tried_twice_and_not_shown(db: Database, sample: FolderBuilder) -> None:
    with CountingProxy(db.url.host, db.url.port or 5432) as proxy:
        url = db.url.copy_with(host="127.0.0.1", port=proxy.port, password="mistyped-and-secret")
        with pytest.raises(DatabaseFailed, match="password authentication failed") as caught:
            apply(url, sample.read())
    assert proxy.connections == 1
    assert "mistyped-and-secret" not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize("limited", ["ROLE limited_role", "DATABASE {database}"])
def test_a_connection_limit_that_is_reached_is_waited_for(db: Database, superuser: Database, limited: str) -> None:
    superuser.run("CREATE ROLE limited_role LOGIN PASSWORD 'limited'")
    url = db.url.copy_with(user="limited_role", password="limited")
    limited = limited.format(database=db.url.database)
    try:
        superuser.run(f"ALTER {limited} CONNECTION LIMIT 1")
        with open_session(url, application_name="the first") as first:
            with pytest.raises(DatabaseFailed, match="too many connections") as caught:
                open_session(url, application_name="impatient", wait=0.3)
            assert "Nothing was changed" in caught.value.remedy
            with CountingProxy(db.url.host, db.url.port or 5432) as proxy:

                def end_the_first() -> None:
                    until(lambda: proxy.connections >= 2)
                    first.close()

                ending = threading.Thread(target=end_the_first)
                ending.start()
                open_session(url.copy_with(host="127.0.0.1", port=proxy.port), application_name="patient").close()
                ending.join()
    finally:
        superuser.run(f"ALTER {limited} CONNECTION LIMIT -1")
        superuser.run("DROP ROLE limited_role")


def test_a_read_only_database_takes_nothing(db: Database, server: PostgresServer, sample: FolderBuilder) -> None:
    superuser = Database(server.superuser)
    superuser.run(f"ALTER DATABASE {db.url.database} SET default_transaction_read_only = on")
    with pytest.raises(DatabaseFailed, match="read-only") as caught:
        apply(db.url, sample.read())
    assert caught.value.exit_code == 5
    assert "Nothing was changed" in caught.value.message
    superuser.run(f"ALTER DATABASE {db.url.database} RESET default_transaction_read_only")
    assert [each.id for each in apply(db.url, sample.read()).applied] == SAMPLE_IDS


def test_a_database_that_turns_read_only_after_the_first_deploy_still_answers_that_nothing_is_to_do(
    migrated_sample: Database, superuser: Database, sample: FolderBuilder
) -> None:
    superuser.run(f"ALTER DATABASE {migrated_sample.url.database} SET default_transaction_read_only = on")
    assert apply(migrated_sample.url, sample.read()).applied == ()
    sample.write("0006_more", "CREATE TABLE more ();")
    with pytest.raises(DatabaseFailed, match="read-only") as caught:
        apply(migrated_sample.url, sample.read())
    assert "0 of 1 applied in this run; nothing of 0006_more is." in caught.value.message


def test_a_role_without_rights_is_told_which_role_to_take(
    db: Database, superuser: Database, sample: FolderBuilder
) -> None:
    name = f"guest_{db.url.database}"
    superuser.run(f"CREATE ROLE {name} LOGIN PASSWORD 'guest'")
    with pytest.raises(DatabaseFailed, match="permission denied") as caught:
        apply(db.url.copy_with(user=name, password="guest"), sample.read())
    assert "owner" in caught.value.remedy
    superuser.run(f"DROP ROLE {name}")
    assert db.applied() == []


def test_a_role_that_may_not_read_the_history_is_told_which_role_to_take(
    migrated_sample: Database, superuser: Database, sample: FolderBuilder
) -> None:
    name = f"guest_{migrated_sample.url.database}"
    superuser.run(f"CREATE ROLE {name} LOGIN PASSWORD 'guest'")
    with pytest.raises(DatabaseFailed, match="the history could not be read: permission denied") as caught:
        apply(migrated_sample.url.copy_with(user=name, password="guest"), sample.read())
    assert "owner" in caught.value.remedy
    superuser.run(f"DROP ROLE {name}")


def test_a_lock_that_a_file_needs_is_tried_for_again_and_the_file_applied(db: Database, folder: FolderBuilder) -> None:
    db.run("CREATE TABLE busy ()")
    folder.write("0001_first", "CREATE TABLE first ();")
    folder.write("0002_waits", "-- pipeline: lock-timeout=50ms\nALTER TABLE busy ADD a int;")
    folder.write("0003_third", "CREATE TABLE third ();")
    retries: list[str] = []
    with db.connect() as blocker:
        blocker.execute("BEGIN; LOCK TABLE busy")

        class Releasing(Observer):
            def retrying(self, migration: str, why: str, seconds: float) -> None:
                assert seconds > 0
                retries.append(f"{migration}: {why}")
                blocker.execute("ROLLBACK")

        report = apply(db.url, folder.read(), observer=Releasing())
    assert retries == ["0002_waits: canceling statement due to lock timeout"]
    assert [each.id for each in report.applied] == ["0001_first", "0002_waits", "0003_third"]


def test_a_lock_that_never_comes_is_given_up_with_exit_code_6(
    db: Database, folder: FolderBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactional.run_transactional, "__kwdefaults__", {"retry_for": 0.3})
    db.run("CREATE TABLE busy ()")
    folder.write("0001_first", "CREATE TABLE first ();")
    folder.write("0002_waits", "-- pipeline: lock-timeout=10ms\nALTER TABLE busy ADD a int;")
    with db.connect() as blocker:
        blocker.execute("BEGIN; LOCK TABLE busy")
        with pytest.raises(TimedOut, match="did not get a lock") as caught:
            apply(db.url, folder.read())
    assert caught.value.exit_code == 6
    assert "1 of 2 applied in this run (through 0001_first); nothing of 0002_waits is." in caught.value.message


def test_a_standby_is_looked_at_and_not_deployed_to(sample: FolderBuilder, standby: DatabaseURL) -> None:
    seen = read_status(standby, sample.read(), target=Target(), observer=Observer())
    assert (seen.identity.in_recovery, [file.id for file in seen.plan.pending]) == (True, SAMPLE_IDS)
    with pytest.raises(DatabaseFailed, match="is in recovery") as caught:
        apply(standby, sample.read())
    assert caught.value.exit_code == 5
    assert "Nothing was changed" in caught.value.remedy


def test_a_full_disk_stops_the_file_that_filled_it(small_disk: DatabaseURL, folder: FolderBuilder) -> None:
    db = Database(small_disk)
    folder.write("0001_first", "CREATE TABLE first ();")
    folder.write(
        "0002_large",
        "CREATE UNLOGGED TABLE large AS SELECT repeat(md5(n::text), 50) FROM generate_series(1, 200000) n;",
    )
    with pytest.raises(DatabaseFailed) as caught:
        apply(small_disk, folder.read())
    assert caught.value.exit_code == 5
    assert "of 2 applied in this run" in caught.value.message
    assert db.applied() == ["0001_first"]
    folder.write("0002_large", "CREATE TABLE large ();")
    assert [each.id for each in apply(small_disk, folder.read()).applied] == ["0002_large"]
