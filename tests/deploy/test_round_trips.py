"""What a deploy costs, in waits for the server; deterministic, so a test and not a benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from tests.support.counting_proxy import CountingProxy

if TYPE_CHECKING:
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


def test_one_file_on_top_costs_one_query_more(migrated_sample: Database, sample: FolderBuilder) -> None:
    sample.write("0006_more", "CREATE TABLE more ();")
    assert counted(migrated_sample, sample) == (NOTHING_PENDING + 1, 1)
