"""Prisma 7's client as `server`, chatdb as `ai_service`: one database, the same rows, directly and through PgBouncer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest

from chatdb import consents, messages, threads
from chatdb.messages import NewMessage, Role
from dbclient.pool import get_pool, lifespan

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from dbclient.url import DatabaseURL
    from tests.support.services import Services
    from tests.support.typescript import Node

VALUE = {"text": "é\u2028\U0001f600", "list": [1, 2.5, None, True], "deep": {"a": {"b": []}}}


def on_pool(url: DatabaseURL, work: Coroutine[Any, Any, Any]) -> Any:
    async def run() -> Any:
        async with lifespan(None, url):
            return await work

    return asyncio.run(run())


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_server_writes_and_the_ai_service_reads_the_same(
    node: Node, server_url: DatabaseURL, migrated: DatabaseURL, services: Services
) -> None:
    written = node.run("conversation.ts", url=server_url)

    thread = written["thread"]
    assert (thread["userId"], thread["model"], thread["activeScopeKeys"]) == (None, None, [])
    assert abs(instant(thread["createdAt"]) - datetime.now(UTC)) < timedelta(minutes=5)
    assert written["concurrent"] == 20
    assert written["afterCascade"] == [0, 0]
    assert written["refused"] == {
        "a fifth role": "23514",
        **dict.fromkeys(
            [
                "changing a consent",
                "deleting a consent",
                "create table",
                "temporary table",
                "create schema",
                "truncate",
            ],
            "42501",
        ),
        **dict.fromkeys(["alter table", "drop table"], "42501"),
    }

    async def read() -> tuple[Any, Any, Any]:
        pool, thread_id = get_pool(), UUID(thread["id"])
        page = await messages.history(pool, thread_id)
        return await threads.get(pool, thread_id), page, await consents.state(pool, thread_id)

    seen, page, state = on_pool(services.url("ai_service", migrated), read())
    assert seen.created_at == instant(thread["createdAt"])
    first = next(each for each in page.rows if str(each.id) == written["message"]["id"])
    assert first.created_at == instant(written["message"]["createdAt"])
    assert (first.role, first.content, first.usage) == (Role.AI, "hello", {"input": 3})
    assert first.meta_json == VALUE == written["message"]["metaJson"]
    assert first.tool_calls == [{"id": "call-1", "args": VALUE}] == written["message"]["toolCalls"]
    assert len(page.rows) == 21
    assert state["mail"].granted


def test_the_ai_service_writes_and_the_server_reads_the_same(
    node: Node, server_url: DatabaseURL, migrated: DatabaseURL, services: Services
) -> None:
    async def write() -> tuple[Any, Any]:
        pool = get_pool()
        thread = await threads.create(pool, model="m")
        await consents.grant(pool, thread.id, "mail")
        stored = await messages.append_many(
            pool,
            thread.id,
            [
                NewMessage(Role.HUMAN, "hi"),
                NewMessage(Role.AI, "", tool_calls=[VALUE], usage={"n": 1.5}, meta_json=VALUE),
            ],
        )
        return thread, stored

    thread, stored = on_pool(services.url("ai_service", migrated), write())
    read = node.run("reading.ts", url=server_url, THREAD_ID=str(thread.id))
    assert read["thread"]["activeScopeKeys"] == ["mail"]
    assert [each["scopeKey"] for each in read["thread"]["consents"]] == ["mail"]
    assert [(each["id"], instant(each["createdAt"]), each["role"]) for each in read["messages"]] == [
        (str(each.id), each.created_at, each.role.value) for each in stored
    ]
    assert read["messages"][1]["toolCalls"] == [VALUE]
    assert read["messages"][1]["metaJson"] == VALUE
    assert read["messages"][1]["usage"] == {"n": 1.5}


def test_prismas_history_query_uses_the_composite_index(node: Node, migrated: DatabaseURL, services: Services) -> None:
    with psycopg.connect(migrated.reveal(), autocommit=True) as connection:
        connection.execute("""INSERT INTO "Thread" ("id") SELECT gen_random_uuid() FROM generate_series(1, 200)""")
        connection.execute(
            """INSERT INTO "Message" ("threadId", "role", "content", "createdAt")
            SELECT "id", 'human', repeat('x', 200), now() + n * interval '1 second'
            FROM "Thread", generate_series(1, 200) AS n ORDER BY n, "id" """
        )
        connection.execute("VACUUM ANALYZE")
        row = connection.execute("""SELECT "id" FROM "Thread" LIMIT 1""").fetchone()
        assert row
        history = node.run("reading.ts", url=services.url("server", migrated), THREAD_ID=str(row[0]))["history"]
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(b"PREPARE history AS " + history.encode())
        arguments = ", ".join([f"'{row[0]}'", "50", "0"][: history.count("$")])
        plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN EXECUTE history ({arguments})".encode()))
    assert 'Index Scan using "Message_threadId_createdAt_idx"' in plan
    assert "Sort" not in plan


@pytest.mark.parametrize("schema", ["chat", "My Chat"])
def test_a_schema_goes_to_the_adapter_as_its_option(node: Node, migrated: DatabaseURL, schema: str) -> None:
    with psycopg.connect(migrated.reveal()) as connection:
        connection.execute(f'CREATE SCHEMA "{schema}"'.encode())
        connection.execute(f'CREATE TABLE "{schema}"."Thread" (LIKE "Thread" INCLUDING ALL)'.encode())
        connection.execute(f'INSERT INTO "{schema}"."Thread" DEFAULT VALUES'.encode())
    import json

    url = migrated.copy_merge_params({"schema": schema})
    options = json.dumps(dict(url.for_prisma().connect))
    assert node.run("schema.ts", url=url, ADAPTER_OPTIONS=options) == 1
