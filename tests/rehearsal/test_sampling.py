"""A rehearsal runs some batches of a backfill, leaves nothing of them, and says what all will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.postgres.connect import open_session
from pipeline.postgres.session import ServerError
from pipeline.rehearsal.measuring import measure
from pipeline.rehearsal.sampling import BATCHES, sample
from tests.support.backfills import UPDATE, head, items

if TYPE_CHECKING:
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database


@pytest.mark.parametrize(
    ("key", "rows", "columns"),
    [
        ("id int PRIMARY KEY", "n", "id"),
        ("a int NOT NULL, b uuid NOT NULL, PRIMARY KEY (a, b)", "n % 9, gen_random_uuid()", "a,b"),
    ],
    ids=["one column", "two"],
)
def test_a_sample_is_spread_over_the_rows_and_rolled_back(
    db: Database, folder: FolderBuilder, key: str, rows: str, columns: str
) -> None:
    items(folder, 60_000, key=key, rows=rows)
    apply(db.url, folder.read())
    db.run("ANALYZE item")
    file = folder.write("0003_done", head(columns) + UPDATE).read().by_id["0003_done"]
    assert file.forward.batched is not None
    with open_session(db.url, application_name="a test") as session:
        taken = sample(session, file, file.forward.batched)
    assert (taken.rows, taken.batches) == (60_000, BATCHES)
    assert 1000 < taken.visited == taken.changed <= 20_000
    assert taken.rows_per_second is not None
    assert taken.seconds == pytest.approx(60_000 / taken.rows_per_second)
    assert taken.total_wal_bytes > 60_000 * 30
    assert db.value("SELECT sum(done) FROM item") == 0


def test_a_small_one_is_done_and_a_failing_one_is_named_without_a_value(db: Database, folder: FolderBuilder) -> None:
    items(folder, 500)
    apply(db.url, folder.read())
    folder.write("0003_done", head("id") + UPDATE)
    folder.write("0004_all", "-- depends: 0003_done\nALTER TABLE item ADD CHECK (done = 1);")
    folder.write(
        "0005_again",
        head("id").replace("done = 0", "done = 1") + "UPDATE item SET done = 1 / (done - 1) WHERE /* batch */ true;",
    )
    found = measure(db.url, folder.read())
    done, _ = found.files
    assert done.backfill is not None
    assert done.backfill.visited == done.backfill.changed > 0
    assert db.rows("SELECT done, count(*) FROM item GROUP BY 1") == [(1, 500)]
    assert found.failure is not None
    assert (found.failure.id, found.failure.line, found.failure.condition) == ("0005_again", 3, "division_by_zero")


def test_an_error_of_a_sample_leaves_the_session_as_it_was(db: Database, folder: FolderBuilder) -> None:
    items(folder, 10)
    apply(db.url, folder.read())
    file = folder.write("0003_done", head("id") + UPDATE.replace("done + 1", "1 / done")).read().by_id["0003_done"]
    assert file.forward.batched is not None
    with open_session(db.url, application_name="a test") as session:
        with pytest.raises(ServerError, match="division by zero"):
            sample(session, file, file.forward.batched)
        assert not session.in_transaction
