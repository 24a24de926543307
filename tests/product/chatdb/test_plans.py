"""The plans of the typed queries: by the index, in its order, with no sort; for known and for unknown parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest

from chatdb import consents, messages, threads
from dbclient.paging import FIRST, LAST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer

LONG = UUID(int=1)


@pytest.fixture(scope="module")
def filled(server: PostgresServer, migrated_template: DatabaseURL) -> Iterator[psycopg.Connection[Any]]:
    """30,000 messages: one thread of 10,000, two hundred of 100; a person with 500 threads; 4,000 consents."""
    database = server.create_database(migrated_template)
    with psycopg.connect(database.reveal(), autocommit=True, prepare_threshold=None) as connection:
        connection.execute("""INSERT INTO "User" ("id") VALUES ('ada'), ('bob')""")
        connection.execute(
            """INSERT INTO "Thread" ("id", "userId", "createdAt")
            SELECT lpad(to_hex(n), 32, '0')::uuid, CASE WHEN n % 2 = 0 THEN 'ada' ELSE 'bob' END,
                timestamptz '2026-01-01' + n * interval '1 minute'
            FROM generate_series(1, 1000) AS n"""
        )
        for first, last, length in ((1, 1, 10_000), (2, 201, 100)):
            connection.execute(
                """INSERT INTO "Message" ("threadId", "role", "content", "createdAt")
                SELECT lpad(to_hex(thread), 32, '0')::uuid, 'ai', repeat('x', 300),
                    timestamptz '2026-01-01' + n * interval '1 second' + thread * interval '1 millisecond'
                FROM generate_series(1, %s::int) AS n, generate_series(%s::int, %s::int) AS thread""",
                [length, first, last],
            )
        connection.execute(
            """INSERT INTO "ScopeConsent" ("threadId", "scopeKey", "granted", "createdAt")
            SELECT lpad(to_hex(1 + n % 100), 32, '0')::uuid, 'scope' || n % 3, true,
                timestamptz '2026-01-01' + n * interval '1 second'
            FROM generate_series(1, 4000) AS n"""
        )
        connection.execute("VACUUM ANALYZE")
        yield connection
    server.drop_database(database)


def plan_of(connection: psycopg.Connection[Any], mode: str, query: str, *values: object) -> str:
    connection.execute(f"SET plan_cache_mode = {mode}".encode())
    connection.execute(b"PREPARE query AS " + query.encode())
    arguments = ", ".join(psycopg.sql.Literal(value).as_string(connection) for value in values)
    plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN EXECUTE query ({arguments})".encode()))
    connection.execute("DEALLOCATE query")
    return plan


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(
    ("query", "values", "index"),
    [
        (messages._HISTORY, (LONG, FIRST.created_at, FIRST.id, 51), "Message_threadId_createdAt_idx"),
        (messages._RECENT, (LONG, LAST.created_at, LAST.id, 51), "Message_threadId_createdAt_idx"),
        (messages._HISTORY, (UUID(int=2), FIRST.created_at, FIRST.id, 51), "Message_threadId_createdAt_idx"),
        (threads._OF_USER, ("ada", LAST.created_at, LAST.id, 51), "Thread_userId_createdAt_idx"),
        (consents._IN_FORCE, (LONG, "scope1"), "ScopeConsent_threadId_scopeKey_createdAt_idx"),
    ],
    ids=["history", "recent", "history of a short thread", "threads of a person", "consent in force"],
)
def test_a_page_is_read_by_its_index_without_a_sort(
    filled: psycopg.Connection[Any], mode: str, query: str, values: tuple[object, ...], index: str
) -> None:
    plan = plan_of(filled, mode, query, *values)
    assert "Limit" in plan
    assert "Index Scan" in plan
    assert f'using "{index}"' in plan
    assert "Sort" not in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_an_append_finds_the_last_instant_by_the_index(filled: psycopg.Connection[Any], mode: str) -> None:
    empty: list[str] = []
    plan = plan_of(filled, mode, messages._APPEND, LONG, *([empty] * 9))
    assert 'Index Only Scan Backward using "Message_threadId_createdAt_idx"' in plan
    assert "Seq Scan" not in plan
