"""The indexes do what they were made for, on tables of a realistic size, and the planner chooses them by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer

THREADS = 2_000
MESSAGES = 100_000

# Threads of very different lengths, their messages mixed on disk as they are when many people talk at once.
FILL = f"""
INSERT INTO "User" ("id") SELECT 'user ' || n FROM generate_series(1, 200) AS n;
INSERT INTO "Thread" ("id", "userId", "createdAt")
SELECT md5('thread ' || n)::uuid, 'user ' || (1 + n % 200), now() - n * interval '1 minute'
FROM generate_series(1, {THREADS}) AS n;
INSERT INTO "Message" ("threadId", "role", "content", "createdAt")
SELECT md5('thread ' || (1 + floor({THREADS} * (n * 0.618033988749895 % 1) ^ 2)::int))::uuid,
       (ARRAY['human', 'ai', 'tool', 'system'])[1 + n % 4], repeat('word ', 40), now() - n * interval '1 second'
FROM generate_series(1, {MESSAGES}) AS n;
INSERT INTO "ScopeConsent" ("threadId", "scopeKey", "granted", "createdAt")
SELECT md5('thread ' || (1 + n % {THREADS}))::uuid, 'scope ' || n % 7, n % 2 = 0, now() - n * interval '1 minute'
FROM generate_series(1, 20000) AS n;
ANALYZE;
"""

A_THREAD = "md5('thread 700')::uuid"


@pytest.fixture(scope="module")
def full(server: PostgresServer, migrated_template: DatabaseURL) -> Iterator[psycopg.Connection[Any]]:
    url = server.create_database(migrated_template)
    with psycopg.connect(url.reveal(), autocommit=True) as connection:
        connection.execute(FILL)
        yield connection
    server.drop_database(url)


def _one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def _plan(connection: psycopg.Connection[Any], query: str) -> str:
    return "\n".join(line for (line,) in connection.execute(f"EXPLAIN (COSTS OFF) {query}"))


def _assert_in_order_from_the_index(plan: str) -> None:
    assert 'using "Message_threadId_createdAt_idx" on "Message"' in plan
    assert "Sort" not in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize("direction", ["", "DESC"])
@pytest.mark.parametrize("where", ["", """AND "createdAt" < now() - interval '6 hours'"""])
def test_a_page_of_a_threads_history_comes_from_the_composite_index_without_a_sort(
    full: psycopg.Connection[Any], direction: str, where: str
) -> None:
    query = f'SELECT * FROM "Message" WHERE "threadId" = {A_THREAD} {where} ORDER BY "createdAt" {direction} LIMIT 20'

    _assert_in_order_from_the_index(_plan(full, query))


def test_a_prepared_statement_reads_a_page_in_the_same_way(full: psycopg.Connection[Any]) -> None:
    """asyncpg and Prisma prepare, so the plan for any thread must be as good as the plan for one."""
    full.execute('PREPARE page(uuid) AS SELECT * FROM "Message" WHERE "threadId" = $1 ORDER BY "createdAt" LIMIT 20')
    full.execute("SET plan_cache_mode = force_generic_plan")
    plan = _plan(full, f"EXECUTE page({A_THREAD})")
    full.execute("RESET plan_cache_mode")
    full.execute("DEALLOCATE page")

    _assert_in_order_from_the_index(plan)


@pytest.mark.parametrize("direction", ["", "DESC"])
def test_a_whole_history_comes_from_the_composite_index_without_a_sort_where_pages_are_cheap_to_reach(
    full: psycopg.Connection[Any], direction: str
) -> None:
    """random_page_cost 1.1 is usual for solid-state storage; for the default, 4, made for disks, see below."""
    full.execute("SET random_page_cost = 1.1")
    plan = _plan(full, f'SELECT * FROM "Message" WHERE "threadId" = {A_THREAD} ORDER BY "createdAt" {direction}')
    full.execute("RESET random_page_cost")

    _assert_in_order_from_the_index(plan)


def test_a_whole_history_uses_the_composite_index_whatever_the_settings(full: psycopg.Connection[Any]) -> None:
    """With the default costs PostgreSQL may collect the rows by page first and sort those few: the index finds them."""
    plan = _plan(full, f'SELECT * FROM "Message" WHERE "threadId" = {A_THREAD} ORDER BY "createdAt"')

    assert '"Message_threadId_createdAt_idx"' in plan
    assert "Seq Scan" not in plan


def test_a_whole_history_reads_only_the_pages_of_its_messages(full: psycopg.Connection[Any]) -> None:
    query = f'SELECT * FROM "Message" WHERE "threadId" = {A_THREAD} ORDER BY "createdAt"'
    top = _one(full, f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}")[0]["Plan"]
    pages = _one(full, """SELECT relpages FROM pg_class WHERE relname = 'Message'""")

    assert 10 <= top["Actual Rows"] <= 1000
    # a page for each row at worst, and the way down the index
    assert top["Shared Hit Blocks"] + top["Shared Read Blocks"] <= top["Actual Rows"] + 10
    assert pages > 2_000


def test_a_persons_threads_come_newest_first_without_a_sort(full: psycopg.Connection[Any]) -> None:
    query = """SELECT * FROM "Thread" WHERE "userId" = 'user 7' ORDER BY "createdAt" DESC LIMIT 5"""
    plan = _plan(full, query)

    assert 'Index Scan Backward using "Thread_userId_createdAt_idx"' in plan
    assert "Sort" not in plan


def test_the_newest_consent_of_a_scope_is_one_step_in_the_index(full: psycopg.Connection[Any]) -> None:
    plan = _plan(
        full,
        f"""SELECT "granted" FROM "ScopeConsent" WHERE "threadId" = {A_THREAD} AND "scopeKey" = 'scope 3'
            ORDER BY "createdAt" DESC LIMIT 1""",
    )

    assert 'Index Scan Backward using "ScopeConsent_threadId_scopeKey_createdAt_idx"' in plan
    assert "Sort" not in plan
