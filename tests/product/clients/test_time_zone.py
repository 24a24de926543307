"""Prisma stores shifted instants where its session is not in UTC, and cannot see it itself: so SQL looks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pipeline.environments.services import env_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from tests.support.services import Services
    from tests.support.typescript import Node

GIVEN = datetime(2026, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC)


@pytest.fixture
def stored(node: Node, migrated: DatabaseURL) -> Callable[[str], tuple[Any, Any]]:
    """What SQL finds of the two instants, in a database whose sessions are in Tokyo if nothing says otherwise."""
    with psycopg.connect(migrated.reveal(), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {migrated.database} SET TimeZone = 'Asia/Tokyo'".encode())

    def run(url: str) -> tuple[Any, Any]:
        made = node.run("instant.ts", url=url)
        assert datetime.fromisoformat(made["readBack"]) == GIVEN  # also where it is stored wrong
        with psycopg.connect(migrated.reveal()) as connection:
            row = connection.execute(
                'SELECT t."createdAt", m."createdAt" FROM "Thread" t JOIN "Message" m ON m."threadId" = t."id" '
                'WHERE t."id" = %s',
                [made["thread"]],
            ).fetchone()
        assert row is not None
        return row[0], row[1]

    return run


def test_the_owners_url_that_env_prints_stores_the_instant_itself(
    stored: Callable[[str], tuple[Any, Any]], migrated: DatabaseURL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", migrated.reveal())
    line = env_lines(tmp_path, "local", "server", tell=lambda _: None)[-1]
    made_up, given = stored(line.removeprefix('DATABASE_URL="').removesuffix('"'))
    assert given == GIVEN
    assert abs(made_up - datetime.now(UTC)) < timedelta(minutes=5)


def test_through_a_pooler_the_roles_own_setting_does_it(
    stored: Callable[[str], tuple[Any, Any]], migrated: DatabaseURL, services: Services, pooled: Callable[..., Any]
) -> None:
    url = pooled(services.url("server", migrated), {"default_pool_size": "3"})
    made_up, given = stored(url.copy_merge_params({"pgbouncer": "true"}).for_prisma().dsn)
    assert given == GIVEN
    assert abs(made_up - datetime.now(UTC)) < timedelta(minutes=5)


def test_without_either_it_is_hours_away(stored: Callable[[str], tuple[Any, Any]], migrated: DatabaseURL) -> None:
    """Why the two above are needed; when Prisma mends it, this says so."""
    assert stored(migrated.reveal())[1] == GIVEN - timedelta(hours=9)
