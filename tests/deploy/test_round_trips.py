"""What a deploy costs, in waits for the server; deterministic, so a test and not a benchmark."""

from __future__ import annotations

import os
import subprocess
import sys
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


# What costs the time of a whole deploy to import, and what a deploy with nothing to do has no use for.
NOT_IMPORTED = ("rich", "yoyo", "sqlparse", "dotenv", "httpx", "pulumi", "pytest", "sqlite3")


def test_a_deploy_with_nothing_to_do_imports_only_what_it_needs(
    migrated_sample: Database, sample: FolderBuilder
) -> None:
    program = (
        "import os, sys\n"
        "from chatdb.url import DatabaseURL\n"
        "from pipeline.deploy import apply\n"
        "from pipeline.migrations import read_folder\n"
        "report = apply(DatabaseURL.parse(os.environ['DATABASE_URL']), read_folder(sys.argv[1]))\n"
        "assert not report.applied\n"
        f"print([name for name in {NOT_IMPORTED!r} if name in sys.modules])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, str(sample.path)],
        env={**os.environ, "DATABASE_URL": migrated_sample.url.reveal()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "[]"
