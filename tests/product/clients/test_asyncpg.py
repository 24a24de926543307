"""asyncpg as `ai_service`: what the service's own documents show, and what the database keeps it from."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest

from dbclient.pool import get_pool, lifespan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dbclient.url import DatabaseURL
    from tests.support.services import Services


@pytest.fixture(params=["directly", "through PgBouncer"])
def on_pool(
    request: pytest.FixtureRequest, migrated: DatabaseURL, services: Services
) -> Callable[[Callable[[Any], Awaitable[None]]], None]:
    url = services.url("ai_service", migrated)
    if request.param != "directly":
        url = request.getfixturevalue("pooled")(url, {"default_pool_size": "3"})
        url = url.copy_merge_params({"pgbouncer": "true"})
    # Prisma's parameters as the server's own .env has them
    url = url.copy_merge_params({"schema": "public", "connection_limit": "6"})

    def run(work: Callable[[Any], Awaitable[None]]) -> None:
        async def inside() -> None:
            async with lifespan(None, url.reveal()):
                await work(get_pool())

        asyncio.run(inside())

    return run


def test_the_documented_query_works_on_the_pool(on_pool: Any, migrated: DatabaseURL) -> None:
    with psycopg.connect(migrated.reveal()) as connection:
        row = connection.execute('INSERT INTO "Thread" DEFAULT VALUES RETURNING "id"').fetchone()
        assert row
        connection.execute(
            'INSERT INTO "Message" ("threadId", "role", "content") VALUES (%s, %s, %s)', (row[0], "human", "hi")
        )
    thread_id = row[0]

    async def work(pool: Any) -> None:
        async with pool.acquire() as conn:
            rows = await conn.fetch('SELECT * FROM "Message" WHERE "threadId" = $1', thread_id)
        assert [(each["role"], each["content"]) for each in rows] == [("human", "hi")]

    on_pool(work)


def test_many_different_statements_at_once_do_not_meet_each_others(on_pool: Any) -> None:
    async def work(pool: Any) -> None:
        async def ask(number: int) -> None:
            for step in range(10):
                # Another text each time: a prepared statement of someone else's would answer wrongly.
                assert await pool.fetchval(f"SELECT $1::int + {number * 100 + step}", 1) == number * 100 + step + 1

        await asyncio.gather(*(ask(number) for number in range(12)))

    on_pool(work)


@pytest.mark.parametrize(
    "statement",
    [
        'CREATE TABLE "Mine" (id int)',
        'CREATE TEMP TABLE "Mine" (id int)',
        "CREATE SCHEMA mine",
        'ALTER TABLE "Message" ADD COLUMN "mine" int',
        'CREATE INDEX ON "Message" ("content")',
        'DROP TABLE "Message"',
        'TRUNCATE "Message"',
        'UPDATE "ScopeConsent" SET "granted" = true',
        'DELETE FROM "ScopeConsent"',
        'SELECT * FROM "User"',
        'SELECT "access_token" FROM "Account"',
        'SELECT * FROM "Session"',
    ],
)
def test_what_is_not_its_business_is_refused(on_pool: Any, statement: str) -> None:
    async def work(pool: Any) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)

    on_pool(work)
