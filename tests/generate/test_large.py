"""A schema as large as those of applications: taken over from a live database, changed there, and taken back, with its rows."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import psycopg

from pipeline.adopt.baseline import baseline
from pipeline.deploy.rolling_back import rollback
from pipeline.generate import Workbench
from pipeline.generate.generating import generate
from pipeline.generate.proposals import Wishes
from pipeline.migrations import read_folder
from pipeline.postgres.binaries import find_binary
from tests.generate.conftest import Checkout, catalog
from tests.generate.large_schema import EDITS, large_rows, large_schema
from tests.generate.test_changes import contents, desired_catalog

if TYPE_CHECKING:
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.generate.differ.pg_delta import PgDelta
    from tests.support.server import PostgresServer

TRUSTED = """
SELECT DISTINCT name FROM pg_available_extension_versions
 WHERE trusted AND name IN ('citext', 'pg_trgm', 'hstore', 'ltree', 'pgcrypto', 'unaccent') ORDER BY 1
"""


def test_it_is_adopted_changed_and_taken_back_with_its_rows(
    database: DatabaseURL, kept_differ: PgDelta, server: PostgresServer, tmp_path: Path
) -> None:
    with psycopg.connect(database.reveal()) as connection:
        extensions = [name for (name,) in connection.execute(TRUSTED).fetchall()]
        connection.execute(large_schema(extensions).encode())
        connection.execute(large_rows().encode())
    checkout = Checkout(Workbench(tmp_path, database, chosen_differ=kept_differ))
    checkout.edit(dump_of(database))
    before, rows = catalog(database), contents(checkout)
    assert len(before.of_kind("table")) >= 100

    made = generate("as found", checkout.workbench)
    assert [path.name for path in made.files] == ["0001_as_found.sql"]
    assert {finding.rule for finding in made.findings} <= {"missing-grants"}  # there are no runtime roles yet
    scratch = server.create_database()
    assert baseline(database, read_folder(checkout.workbench.migrations), through="0001", scratch=scratch).recorded == (
        "0001_as_found",
    )
    server.drop_database(scratch)

    checkout.append(EDITS)
    made = generate("edited", checkout.workbench, Wishes(), run=checkout.run)
    assert len(made.files) == 5
    assert {finding.rule for finding in made.findings} <= {"missing-grants"}
    if made.findings:
        checkout.run(checkout.folder)
    after = desired_catalog(checkout, server)
    assert after.differences(catalog(database), without={"privilege"}) == []
    folder = read_folder(checkout.workbench.migrations)
    rollback(database, folder, to="0001")
    assert before.differences(catalog(database)) == []
    assert contents(checkout) == rows
    checkout.run(folder)
    assert after.differences(catalog(database), without={"privilege"}) == []


def dump_of(database: DatabaseURL) -> str:
    done = subprocess.run(
        [find_binary("pg_dump"), "--schema-only", database.reveal()], capture_output=True, text=True, check=True
    )
    return done.stdout
