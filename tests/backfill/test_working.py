"""Batch after batch: every row is done once, whatever the key is, and the end is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.deploy import apply

if TYPE_CHECKING:
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

HEAD = "-- pipeline: batched=item key={key}\n-- remaining: SELECT count(*) FROM item WHERE done = 0\n"
UPDATE = "UPDATE item SET done = done + 1 WHERE done = 0 AND /* batch */ true;"


def test_a_file_is_done_to_its_end_where_nobody_limits_it(db: Database, folder: FolderBuilder) -> None:
    folder.write("0001_item", "CREATE TABLE item (id int PRIMARY KEY, done int NOT NULL DEFAULT 0)")
    folder.write("0002_items", "INSERT INTO item SELECT generate_series(1, 30000)")
    folder.write("0003_done", HEAD.format(key="id") + UPDATE)
    report = apply(db.url, folder.read())
    (backfill,) = report.backfills
    assert (backfill.state, backfill.changed, backfill.remaining, backfill.pass_) == ("complete", 30000, 0, 1)
    assert db.rows("SELECT done, count(*) FROM item GROUP BY 1") == [(1, 30000)]
    assert db.applied() == ["0001_item", "0002_items", "0003_done"]
