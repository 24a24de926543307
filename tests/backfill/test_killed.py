"""Killed at any instant, with its server or without: every row is done once, none twice, none left out.

A row counts how often it was changed. The large proof, with a million rows, is `benchmarks/backfill.py`.
"""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from tests.support.backfills import UPDATE, go_on, head, items, registered, working
from tests.support.sample import Database
from tests.support.until import until

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.support.deploy_process import Processes
    from tests.support.folders import FolderBuilder
    from tests.support.server import RestartableServer

ROWS = 120_000
KILLS = 6
COMPLETE = "SELECT state = 'complete' FROM migration_history.backfills"
AT_WORK = (
    "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'db-pipeline backfill' AND query LIKE 'BEGIN;%'"
)


@pytest.mark.parametrize("key", ["id int PRIMARY KEY", "id uuid PRIMARY KEY"], ids=["int", "uuid"])
def test_every_row_is_done_once_however_often_the_process_is_killed(
    db: Database, folder: FolderBuilder, key: str
) -> None:
    items(folder, ROWS, key=key, rows="gen_random_uuid()" if "uuid" in key else "n")
    registered(db.url, folder)
    chance = random.Random(7)  # noqa: S311 - instants are no secret
    killed = 0
    while killed < KILLS and not db.value(COMPLETE):
        with working(db.url, folder) as process:
            until(lambda: db.value(AT_WORK) or db.value(COMPLETE))  # a quick machine may be through with it
            time.sleep(chance.uniform(0, 0.1))  # any instant of its first batch, or behind it
            process.send()
            killed += process.end() is None
        # what it has done stands with its position, and nothing else does
        _expect_truth(db)
    assert killed > 1
    assert go_on(db.url, folder).is_complete
    assert db.rows("SELECT done, count(*) FROM item GROUP BY 1") == [(1, ROWS)]
    assert db.value("SELECT changed FROM migration_history.backfills") == ROWS


def test_every_row_is_done_once_where_the_server_crashes(
    restartable_server: RestartableServer, database_that_lasts: DatabaseURL, folder: FolderBuilder
) -> None:
    db = Database(database_that_lasts)
    items(folder, ROWS)
    registered(db.url, folder)
    for crash in (True, False):
        with working(db.url, folder) as process:
            until(lambda: db.value("SELECT visited > 0 FROM migration_history.backfills"))
            restartable_server.restart(crash=crash)
            _expect_truth(db)
            ended = process.end()  # it connects again, and goes on
            assert ended == (0, "complete")
    assert db.rows("SELECT done, count(*) FROM item GROUP BY 1") == [(1, ROWS)]


def _expect_truth(db: Database) -> None:
    """One look: the rows that are changed are those through the position."""
    changed, counted, twice = db.rows(
        "SELECT (SELECT changed FROM migration_history.backfills), count(*) FILTER (WHERE done = 1), "
        "count(*) FILTER (WHERE done > 1) FROM item"
    )[0]
    assert (changed, twice) == (counted, 0)


def test_a_deploy_that_is_ended_while_it_works_on_a_backfill_has_recorded_it(
    db: Database, folder: FolderBuilder, processes: Processes
) -> None:
    items(folder, ROWS)
    apply(db.url, folder.read())
    folder.write("0003_done", head("id") + UPDATE)
    with db.connect() as holder:
        holder.execute(f"BEGIN; SELECT 1 FROM item WHERE id = {ROWS} FOR UPDATE")  # so that it does not come to its end
        deploy = processes.start(db.url, folder.path)
        until(lambda: "0003_done" in db.applied())
        until(lambda: db.value("SELECT visited > 0 FROM migration_history.backfills"))
        deploy.kill(signal.SIGTERM)
        outcome = deploy.outcome()
    assert outcome is not None
    assert outcome.exit_code == 143
    assert "1 of 1 applied in this run (through 0003_done)" in outcome.error
    assert apply(db.url, folder.read()).applied == ()  # which is nothing to do for a deploy
    assert go_on(db.url, folder).is_complete
    assert db.rows("SELECT done, count(*) FROM item GROUP BY 1") == [(1, ROWS)]
