"""A new kind of object is one edit: a schema is read by the queries of `kinds` alone, whoever asks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pipeline.kinds import IN_ROLLBACKS, QUERIES, attached
from pipeline.schema.fingerprint import Fingerprints
from tests.schema.test_catalog_changes import BASE, CHANGES, Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import PostgresServer

PIPELINE = Path(__file__).parents[2] / "pipeline"
CATALOGS = re.compile(
    r"\b(?:FROM|JOIN)\s+pg_(?!roles\b|database\b|stat_activity\b|available_extensions\b|catalog\.json_)\w+"
)


@pytest.fixture(scope="module")
def fingerprinted(server: PostgresServer) -> Iterator[tuple[psycopg.Connection[Any], Fingerprints, str]]:
    """A database with every kind of object, and its fingerprint. A test takes back what it does."""
    url = server.create_database()
    with psycopg.connect(url.reveal(), autocommit=True, prepare_threshold=None) as connection:
        connection.execute(BASE)
        prints = Fingerprints(connection)
        yield connection, prints, prints.take()
    server.drop_database(url)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.sql[:60])
def test_what_a_comparison_sees_the_fingerprint_sees(
    fingerprinted: tuple[psycopg.Connection[Any], Fingerprints, str], change: Change
) -> None:
    connection, prints, before = fingerprinted
    connection.execute("RESET ALL")
    with connection.transaction(force_rollback=True):
        for statement in change.sql.split("; "):
            connection.execute(statement)
        after = prints.take()

    assert after != before
    assert prints.take() == before


def test_a_fingerprint_is_taken_of_each_kind_that_is_compared() -> None:
    assert set(QUERIES) - set(IN_ROLLBACKS) == {attached.COMMENTS}
    assert "'comment on '" in attached.ROLLBACKS, "which takes them all"


def test_nobody_who_reads_a_schema_asks_the_catalogs_beside_the_kinds() -> None:
    rooms = ("kinds", "receipts", "schema", "generate", "check", "adopt")
    readers = {
        path.relative_to(PIPELINE).as_posix()
        for room in rooms
        for path in (PIPELINE / room).rglob("*.py")
        if CATALOGS.search(path.read_text())
    }
    # whether a database is empty is no question about its schema
    assert {reader for reader in readers if not reader.startswith("kinds/")} == {"schema/shadows.py"}
    assert len(readers) > 1
