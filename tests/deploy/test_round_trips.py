"""What a deploy costs, in waits for the server; deterministic, so a test and not a benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.deploy.steps import Step
from pipeline.deploy.transactional import BATCH_BYTES, _batches, _Query
from tests.receipts.production import BASE, PENDING, Production
from tests.support.backfills import go_on, items, registered
from tests.support.counting_proxy import CountingProxy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

# TCP, the question whether there is TLS, the start-up packet, two of SCRAM, and one query
NOTHING_PENDING = 6


def counted(db: Database, folder: FolderBuilder) -> tuple[int, int]:
    with CountingProxy(db.url.host, db.url.port or 5432) as proxy:
        apply(db.url.copy_with(host="127.0.0.1", port=proxy.port), folder.read())
    return proxy.waits, proxy.connections


def test_nothing_pending_costs_one_query(migrated_sample: Database, sample: FolderBuilder) -> None:
    assert counted(migrated_sample, sample) == (NOTHING_PENDING, 1)


@pytest.mark.parametrize("files", [1, 10, 100])
def test_files_from_zero_cost_two_queries_more_however_many_they_are(
    db: Database, folder: FolderBuilder, files: int
) -> None:
    for number in range(1, files + 1):
        folder.write(f"{number:04}_t", f"CREATE TABLE t{number} (id int PRIMARY KEY);")
    assert counted(db, folder) == (NOTHING_PENDING + 2, 1)
    assert db.value("SELECT count(DISTINCT xmin::text) FROM migration_history._yoyo_migration") == files


def test_a_dependency_costs_nothing_and_one_on_a_backfill_one_query(db: Database, folder: FolderBuilder) -> None:
    items(folder, 10)
    registered(db.url, folder)
    go_on(db.url, folder)
    folder.write("0004_t", "-- depends: 0002_items\nCREATE TABLE t ();")
    assert counted(db, folder) == (NOTHING_PENDING + 1, 1)
    folder.write("0005_u", "-- depends: 0003_done\nCREATE TABLE u ();")
    assert counted(db, folder) == (NOTHING_PENDING + 1 + 2, 1)  # whether the table is there, and how far it is
    assert counted(db, folder) == (NOTHING_PENDING, 1)


@pytest.mark.parametrize(
    ("lengths", "queries"),
    [
        pytest.param([BATCH_BYTES // 2, BATCH_BYTES // 2], 1, id="exactly the limit"),
        pytest.param([BATCH_BYTES // 2, BATCH_BYTES // 2 + 1], 2, id="one byte more"),
        pytest.param([BATCH_BYTES * 2, 10, 10], 2, id="one that is larger alone"),
    ],
)
def test_a_batch_is_at_most_a_mebibyte(folder: FolderBuilder, lengths: list[int], queries: int) -> None:
    file = folder.write("0001_any", "SELECT 1;").read().files[0]
    for character in ("x", "ä"):
        width = len(character.encode())
        step = Step(file, file.forward)
        texts = [character * (length // width) + "x" * (length % width) for length in lengths]
        assert len(list(_batches([_Query(step, text) for text in texts]))) == queries


def test_files_that_are_more_than_one_batch_cost_a_query_for_each(db: Database, folder: FolderBuilder) -> None:
    for number in (1, 2, 3):
        folder.write(f"000{number}_large", f"-- {'x' * 700_000}\nCREATE TABLE t{number} ();")
    # one more, since what is large is taken apart before the lock
    assert counted(db, folder) == (NOTHING_PENDING + 1 + 3 + 1, 1)


def test_one_file_on_top_costs_one_query_more(migrated_sample: Database, sample: FolderBuilder) -> None:
    sample.write("0006_more", "CREATE TABLE more ();")
    assert counted(migrated_sample, sample) == (NOTHING_PENDING + 1, 1)


def counted_on_prod(production: Production) -> int:
    with CountingProxy(production.db.url.host, production.db.url.port or 5432) as proxy:
        production.deploy(url=production.db.url.copy_with(host="127.0.0.1", port=proxy.port))
    return proxy.waits


def test_a_receipt_costs_no_wait(db: Database, folder: FolderBuilder, tmp_path: Path) -> None:
    production = Production(tmp_path, folder, db)
    production.settings("required")
    production.write(BASE)
    assert counted_on_prod(production) == NOTHING_PENDING + 2, "the first deploy, which needs none"
    assert counted_on_prod(production) == NOTHING_PENDING
    production.write({id_: sql for id_, sql in PENDING.items() if "CONCURRENTLY" not in sql})
    production.rehearse()
    assert counted_on_prod(production) == NOTHING_PENDING + 1, "as without a receipt"
    db.run("DROP TABLE migration_history.rehearsals")
    folder.write("0008_more", "SELECT 1;")
    production.rehearse()
    assert counted_on_prod(production) == NOTHING_PENDING + 1, "with the table that an older history lacks"
    assert counted_on_prod(production) == NOTHING_PENDING
    # an index outside a transaction has its own queries; the guard goes out with the first of them
    folder.write("0009_index", "-- transactional: false\nCREATE INDEX CONCURRENTLY pet_colour ON pet (colour);")
    production.settings("off")
    folder.write("0010_index", "-- transactional: false\nCREATE INDEX CONCURRENTLY pet_owner ON pet (owner);")
    without = counted_on_prod(production)
    db.run(
        "DROP INDEX pet_colour, pet_owner; DELETE FROM migration_history._yoyo_migration WHERE migration_id > '0009'"
    )
    production.settings("required")
    production.rehearse()
    assert counted_on_prod(production) == without
    assert [row[0] for row in production.kept()] == ["receipt", "receipt"]
