"""DETACH PARTITION … CONCURRENTLY: after a crash it is finished only where it is proven to be ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.deploy.rolling_back import rollback
from pipeline.errors import MigrationFailed
from pipeline.history.record import Author, started_sql
from pipeline.lint import lint
from pipeline.lint.source import read_sources
from pipeline.postgres.connect import open_session
from tests.support.until import until

if TYPE_CHECKING:
    from tests.support.deploy_process import Processes
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

TABLES = (
    "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);"
    "CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2); INSERT INTO p VALUES (1), (2);"
)
DETACH = "-- transactional: false\nALTER TABLE p DETACH PARTITION p1 CONCURRENTLY;"
ATTACH = "ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1);"
STATES = "SELECT inhrelid::regclass::text, inhdetachpending FROM pg_inherits ORDER BY 1"
WAITS = "SELECT count(*) FROM pg_locks WHERE locktype = 'virtualxid' AND NOT granted"
BOTH = [("p1", False), ("p2", False)]
PENDING = [("p1", True), ("p2", False)]
DETACHED = [("p2", False)]


@pytest.fixture
def partitions(db: Database, folder: FolderBuilder) -> Database:
    """The partitioned table is there, the detach is pending."""
    apply(db.url, folder.write("0001_p", TABLES).read())
    folder.write("0002_d", DETACH, ATTACH)
    return db


def start(db: Database, folder: FolderBuilder, existed: str) -> None:
    """What a run leaves in the history that was killed after it had started the second file."""
    with open_session(db.url, application_name="killed") as session:
        session.run(started_sql(folder.read().by_id["0002_d"], Author("ada"), f"'{existed}'"))


def leave_pending(db: Database) -> None:
    """A detach that gave up in the middle."""
    with db.connect() as reader, db.connect() as other:
        reader.execute("BEGIN; SELECT count(*) FROM p")
        other.execute("SET lock_timeout = '50ms'")
        with pytest.raises(Exception, match="lock timeout"):
            other.execute("ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY")
    assert db.rows(STATES) == PENDING


def test_a_partition_is_detached_and_attached_again_by_the_rollback(
    partitions: Database, folder: FolderBuilder
) -> None:
    apply(partitions.url, folder.read())
    assert (partitions.rows(STATES), partitions.applied()) == (DETACHED, ["0001_p", "0002_d"])
    rollback(partitions.url, folder.read(), to="0001")
    assert (partitions.rows(STATES), partitions.applied()) == (BOTH, ["0001_p"])


def test_killed_before_the_statement_it_is_detached(partitions: Database, folder: FolderBuilder) -> None:
    start(partitions, folder, "attached")
    apply(partitions.url, folder.read())
    assert (partitions.rows(STATES), partitions.applied()) == (DETACHED, ["0001_p", "0002_d"])


def test_killed_after_the_statement_it_is_recorded(partitions: Database, folder: FolderBuilder) -> None:
    start(partitions, folder, "attached")
    partitions.run("ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY")
    apply(partitions.url, folder.read())
    assert partitions.applied() == ["0001_p", "0002_d"]


def test_killed_during_the_statement_it_is_named_and_finished_by_the_next_run(
    partitions: Database, folder: FolderBuilder, processes: Processes
) -> None:
    with partitions.connect() as reader:
        reader.execute("BEGIN; SELECT count(*) FROM p")
        process = processes.start(partitions.url, folder.path)
        until(lambda: partitions.value(WAITS) == 1)
        process.kill(15)
        outcome = process.outcome()
    assert outcome is not None
    assert outcome.exit_code == 143
    assert "The partition p1 is half detached: queries of p no longer see its rows" in outcome.error
    assert "by hand: ALTER TABLE p DETACH PARTITION p1 FINALIZE;" in outcome.error
    assert partitions.value("SELECT count(*) FROM p") == 1
    assert partitions.rows(STATES) == PENDING
    assert [each.id for each in apply(partitions.url, folder.read()).applied] == ["0002_d"]
    assert partitions.rows(STATES) == DETACHED


def test_what_the_message_says_to_do_by_hand_ends_it(partitions: Database, folder: FolderBuilder) -> None:
    start(partitions, folder, "attached")
    leave_pending(partitions)
    partitions.run("ALTER TABLE p DETACH PARTITION p1 FINALIZE")
    apply(partitions.url, folder.read())
    assert partitions.applied() == ["0001_p", "0002_d"]


@pytest.mark.parametrize("existed", ["", "pending", "edited"])
def test_what_somebody_else_left_half_detached_is_not_finished(
    partitions: Database, folder: FolderBuilder, existed: str
) -> None:
    if existed:
        start(partitions, folder, "attached" if existed == "edited" else existed)
    if existed == "edited":
        folder.write("0002_d", f"-- edited\n{DETACH}")
    leave_pending(partitions)
    for _ in range(2):
        with pytest.raises(MigrationFailed, match="already pending detach") as caught:
            apply(partitions.url, folder.read())
        assert "FINALIZE" in caught.value.message
    assert (partitions.rows(STATES), partitions.applied()) == (PENDING, ["0001_p"])


def test_a_rollback_that_detaches_finishes_what_an_earlier_try_left(db: Database, folder: FolderBuilder) -> None:
    folder.write("0001_p", f"{TABLES} ALTER TABLE p DETACH PARTITION p1;")
    folder.write("0002_a", ATTACH, DETACH)
    apply(db.url, folder.read())
    leave_pending(db)
    rollback(db.url, folder.read(), to="0001")
    assert (db.rows(STATES), db.applied()) == (DETACHED, ["0001_p"])


def test_the_remedy_of_lint_can_be_followed(folder: FolderBuilder) -> None:
    folder.write("0001_d", "ALTER TABLE p DETACH PARTITION p1;").write("0002_d", DETACH)
    found = [each for each in lint(read_sources(folder.read().files)) if "partition" in each.rule]
    assert [(each.rule, each.path[-10:]) for each in found] == [("require-concurrent-partition-detach", "0001_d.sql")]
    assert "CONCURRENTLY" in found[0].help
    assert "-- transactional: false" in found[0].help
    assert folder.read().by_id["0002_d"].forward.transactional is False
