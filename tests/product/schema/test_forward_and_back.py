"""The migrations build schema.sql, and each can be undone and done again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pipeline.deploy import apply
from pipeline.deploy.rolling_back import rollback
from pipeline.migrations import Folder, read_folder
from pipeline.schema.catalog import Catalog, read_catalog

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer

ROOT = Path(__file__).parents[3]
FOLDER = read_folder(ROOT / "migrations")
IDS = [file.id for file in FOLDER.files]


def _catalog(url: DatabaseURL) -> Catalog:
    with psycopg.connect(url.reveal(), autocommit=True) as connection:
        return read_catalog(connection)


def _through(count: int) -> Folder:
    return Folder(FOLDER.path, FOLDER.files[:count])


def test_every_migration_has_a_rollback_and_a_title() -> None:
    assert [file.id for file in FOLDER.files if file.rollback_path is None] == []
    assert [file.id for file in FOLDER.files if not file.data.startswith(b"-- ")] == []


def test_the_migrations_build_schema_sql(migrated: DatabaseURL, owner: psycopg.Connection[Any]) -> None:
    owner.execute((ROOT / "schema.sql").read_bytes())

    # schema.sql has no roles, so it cannot have grants
    assert _catalog(migrated).differences(read_catalog(owner), without=["privilege"]) == []


def test_forward_and_back_and_forward_gives_the_same_catalog_at_every_step(database: DatabaseURL) -> None:
    on_the_way_up = [_catalog(database)]
    for count in range(1, len(IDS) + 1):
        apply(database, _through(count))
        on_the_way_up.append(_catalog(database))

    for count in reversed(range(len(IDS))):
        rollback(database, FOLDER, to=IDS[count - 1] if count else "0000")
        assert _catalog(database).differences(on_the_way_up[count]) == []

    for count in range(1, len(IDS) + 1):
        apply(database, _through(count))
        assert _catalog(database).differences(on_the_way_up[count]) == []


def test_the_steps_differ_from_one_another(database: DatabaseURL) -> None:
    """Otherwise the test above would compare nothing with nothing."""
    before = _catalog(database)
    for count in range(1, len(IDS) + 1):
        apply(database, _through(count))
        after = _catalog(database)
        assert before.differences(after)
        before = after


def test_rolling_back_the_roles_leaves_them_on_the_server_without_rights(
    migrated: DatabaseURL, server: PostgresServer, database: DatabaseURL
) -> None:
    apply(database, FOLDER)
    rollback(database, FOLDER, to="0003")
    with psycopg.connect(server.as_superuser(database).reveal(), autocommit=True) as connection:
        roles = connection.execute("SELECT rolname FROM pg_roles WHERE rolname IN ('server', 'ai_service')").fetchall()
        connection.execute("SET SESSION AUTHORIZATION server")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute('SELECT FROM "Thread"')

    assert len(roles) == 2
    with psycopg.connect(server.as_superuser(migrated).reveal(), autocommit=True) as connection:
        connection.execute("SET SESSION AUTHORIZATION server")
        connection.execute('SELECT FROM "Thread"')  # another database of the same server keeps its grants
