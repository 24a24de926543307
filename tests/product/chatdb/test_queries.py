"""What the typed queries do to a real database, as ai_service, directly and through PgBouncer."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import psycopg
import pytest

from chatdb import consents, messages, threads, usage
from chatdb.errors import ThreadNotFound
from chatdb.messages import Message, NewMessage, Role
from dbclient.errors import InvalidCursor
from dbclient.paging import Cursor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dbclient.url import DatabaseURL

    WithPool = Callable[[Callable[[Any], Awaitable[Any]]], Any]


def human(text: str) -> NewMessage:
    return NewMessage(Role.HUMAN, text)


@pytest.fixture
def user(migrated: DatabaseURL) -> str:
    """A person who signed in; ai_service itself may not make one."""
    with psycopg.connect(migrated.reveal()) as connection:
        connection.execute("""INSERT INTO "User" ("id") VALUES ('ada')""")
    return "ada"


def test_a_thread_is_created_with_no_data_at_all(with_pool: WithPool) -> None:
    async def test(pool: Any) -> None:
        made = await threads.create(pool)
        assert (made.user_id, made.model, made.active_scope_keys) == (None, None, ())
        assert abs(datetime.now(UTC) - made.created_at) < timedelta(minutes=5)
        assert await threads.get(pool, made.id) == made

    with_pool(test)


def test_a_thread_is_created_with_all_its_data_and_deleted_with_what_it_holds(with_pool: WithPool, user: str) -> None:
    async def test(pool: Any) -> None:
        made = await threads.create(pool, user_id=user, model="m-1", active_scope_keys=["b", "a", "b"])
        assert (made.user_id, made.model, made.active_scope_keys) == (user, "m-1", ("b", "a"))
        await messages.append(pool, made.id, human("hello"))
        await consents.grant(pool, made.id, "mail")
        assert await threads.delete(pool, made.id)
        assert not await threads.delete(pool, made.id)
        assert await threads.get(pool, made.id) is None
        assert (await messages.history(pool, made.id)).rows == ()
        assert await consents.history(pool, made.id) == ()
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await threads.create(pool, user_id="nobody")

    with_pool(test)


def test_active_scopes_are_read_and_replaced(with_pool: WithPool) -> None:
    async def test(pool: Any) -> None:
        made = await threads.create(pool)
        assert await threads.active_scopes(pool, made.id) == ()
        assert await threads.set_active_scopes(pool, made.id, ["x", "y", "x"]) == ("x", "y")
        assert await threads.active_scopes(pool, made.id) == ("x", "y")
        for missing in (threads.active_scopes(pool, uuid4()), threads.set_active_scopes(pool, uuid4(), ["x"])):
            with pytest.raises(ThreadNotFound):
                await missing

    with_pool(test)


def test_a_message_keeps_every_field(with_pool: WithPool) -> None:
    async def test(pool: Any) -> None:
        thread = await threads.create(pool)
        new = NewMessage(
            Role.AI,
            "line\n«é» \U0001f600 'quoted' \\",
            name="n",
            tool_call_id="call-1",
            provider="p",
            model="m",
            tool_calls=[{"id": "call-1", "args": {"q": "é", "n": [1, 2.5, None, True]}}],
            usage={"input": 3, "output": 4},
            meta_json={"scopes": ["a"], "nested": {"deep": "\u2028"}},
        )
        stored = await messages.append(pool, thread.id, new)
        assert all(getattr(stored, name) == getattr(new, name) for name in NewMessage.__dataclass_fields__)
        assert isinstance(stored.role, Role)
        assert stored == Message(**{each.name: getattr(stored, each.name) for each in fields(Message)})
        with pytest.raises(FrozenInstanceError):
            stored.content = "other"  # type: ignore[misc]
        assert isinstance(stored.id, UUID)
        assert stored.thread_id == thread.id
        assert stored.created_at.utcoffset() == timedelta(0)
        assert stored.created_at.microsecond % 1000 == 0
        assert (await messages.history(pool, thread.id)).rows == (stored,)

    with_pool(test)


@pytest.mark.parametrize("value", [None, 0, "text", "null", "", [], {}, True, [None], 1.5, {"a": "b"}])
def test_json_comes_back_as_the_value_that_was_given(with_pool: WithPool, value: object) -> None:
    async def test(pool: Any) -> None:
        thread = await threads.create(pool)
        stored = await messages.append(pool, thread.id, NewMessage(Role.TOOL, "", meta_json=value))
        assert stored.meta_json == value
        is_null = await pool.fetchval('SELECT "metaJson" IS NULL FROM "Message" WHERE "id" = $1', stored.id)
        assert is_null == (value is None)

    with_pool(test)


def test_a_role_that_is_none_of_the_four_is_refused_before_the_database_and_by_it(with_pool: WithPool) -> None:
    async def test(pool: Any) -> None:
        thread = await threads.create(pool)
        with pytest.raises(ValueError, match="robot"):
            await messages.append(pool, thread.id, NewMessage("robot", "x"))  # type: ignore[arg-type]
        with pytest.raises(asyncpg.CheckViolationError):
            await pool.execute(
                'INSERT INTO "Message" ("threadId", "role", "content") VALUES ($1, $2, $3)', thread.id, "robot", "x"
            )
        assert [role.value for role in Role] == ["human", "ai", "tool", "system"]

    with_pool(test)


def test_messages_appended_together_come_back_in_their_order_a_millisecond_apart(with_pool: WithPool) -> None:
    async def test(pool: Any) -> None:
        thread = await threads.create(pool)
        assert await messages.append_many(pool, thread.id, []) == ()
        stored = await messages.append_many(pool, thread.id, [human(str(n)) for n in range(200)])
        assert [message.content for message in stored] == [str(n) for n in range(200)]
        steps = {after.created_at - before.created_at for before, after in itertools.pairwise(stored)}
        assert steps == {timedelta(milliseconds=1)}
        # The next one comes after the last, though the clock has not got there.
        assert (await messages.append(pool, thread.id, human("last"))).created_at > stored[-1].created_at

    with_pool(test)


def test_a_batch_that_the_server_refuses_in_part_appends_nothing(with_pool: WithPool, migrated: DatabaseURL) -> None:
    with psycopg.connect(migrated.reveal()) as owner:
        owner.execute("""ALTER TABLE "Message" ADD CHECK ("content" <> 'bad')""")

    async def test(pool: Any) -> None:
        thread = await threads.create(pool)
        with pytest.raises(asyncpg.CheckViolationError):
            await messages.append_many(pool, thread.id, [human("good"), human("bad")])
        assert (await messages.history(pool, thread.id)).rows == ()

    with_pool(test)


def test_an_unknown_thread_is_named(with_pool: WithPool) -> None:
    async def test(pool: Any) -> None:
        unknown = uuid4()
        for attempt in (messages.append(pool, unknown, human("x")), consents.grant(pool, unknown, "mail")):
            with pytest.raises(ThreadNotFound, match=str(unknown)):
                await attempt

    with_pool(test)


def test_concurrent_writers_get_strictly_increasing_instants(with_pool: WithPool) -> None:
    async def test(pool: Any) -> None:
        thread = await threads.create(pool)

        async def writer(name: int) -> list[datetime]:
            got = []
            for n in range(15):
                stored = await messages.append_many(
                    pool, thread.id, [human(f"{name}.{n}.{k}") for k in range(1 + n % 3)]
                )
                got += [message.created_at for message in stored]
            return got

        per_writer = await asyncio.gather(*(writer(name) for name in range(10)))
        for instants in per_writer:
            assert instants == sorted(instants)  # each writer's own order is kept
        page = await messages.history(pool, thread.id, limit=1000)
        stamps = [message.created_at for message in page.rows]
        assert len(stamps) == sum(map(len, per_writer)) == 300
        assert all(before < after for before, after in itertools.pairwise(stamps))

    with_pool(test)


def test_a_writer_that_waited_for_another_transaction_comes_after_it(with_pool: WithPool) -> None:
    """The hard case: its snapshot is older than the rows that it must come after."""

    async def test(pool: Any) -> None:
        thread = await threads.create(pool)
        async with pool.acquire() as other:
            transaction = other.transaction()
            await transaction.start()
            ahead = await messages.append_many(other, thread.id, [human(str(n)) for n in range(500)])
            waiting = asyncio.create_task(messages.append(pool, thread.id, human("waited")))
            async with asyncio.timeout(30):
                while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                    pass
            assert not waiting.done()
            await transaction.commit()
        assert (await waiting).created_at > ahead[-1].created_at

    with_pool(test)


def test_an_append_is_part_of_the_callers_transaction(with_pool: WithPool) -> None:
    async def test(pool: Any) -> None:
        thread = await threads.create(pool)

        async def fail_after_append() -> None:
            async with pool.acquire() as connection, connection.transaction():
                await messages.append(connection, thread.id, human("gone"))
                raise LookupError

        with pytest.raises(LookupError):
            await fail_after_append()
        assert (await messages.history(pool, thread.id)).rows == ()

    with_pool(test)


@pytest.mark.parametrize("limit", [1, 7, 30])
def test_pages_lose_and_repeat_nothing_even_among_rows_of_one_instant(with_pool: WithPool, limit: int) -> None:
    async def test(pool: Any) -> None:
        thread = await threads.create(pool)
        # As a foreign writer does it: one INSERT, one CURRENT_TIMESTAMP, any order; three such groups and single ones.
        for size in (1, 12, 2, 12, 1):
            await pool.execute(
                """INSERT INTO "Message" ("threadId", "role", "content")
                SELECT $1, 'ai', number::text FROM generate_series(1, $2::int) AS number""",
                thread.id,
                size,
            )
        every = await pool.fetch(
            'SELECT "id" FROM "Message" WHERE "threadId" = $1 ORDER BY "createdAt", "id"', thread.id
        )
        expected = [row["id"] for row in every]
        forward, backward = [], []
        cursor, size = None, 0
        while True:
            page = await messages.history(pool, thread.id, limit=limit, after=cursor)
            forward += [message.id for message in page.rows]
            if page.next is None:
                break
            assert len(page.rows) == limit
            cursor = Cursor.parse(str(page.next))
        cursor = None
        while True:
            page = await messages.recent(pool, thread.id, limit=limit, before=cursor)
            backward += [message.id for message in page.rows]
            if page.next is None:
                break
            cursor = page.next
        assert forward == expected
        assert backward == expected[::-1]

    with_pool(test)


def test_a_persons_threads_are_paged_newest_first(with_pool: WithPool, user: str) -> None:
    async def test(pool: Any) -> None:
        made = [await threads.create(pool, user_id=user) for _ in range(7)]
        await threads.create(pool)
        first = await threads.of_user(pool, user, limit=4)
        rest = await threads.of_user(pool, user, limit=4, before=first.next)
        assert len(first.rows) == 4
        assert rest.next is None
        found = first.rows + rest.rows
        assert [thread.id for thread in found] == [
            thread.id for thread in sorted(made, key=lambda each: (each.created_at, each.id), reverse=True)
        ]

    with_pool(test)


def test_a_grant_and_a_withdrawal_change_the_scopes_and_the_audit_together(with_pool: WithPool) -> None:
    async def test(pool: Any) -> None:
        thread = (await threads.create(pool, active_scope_keys=["files"])).id
        assert not await consents.is_granted(pool, thread, "mail")
        first = await consents.grant(pool, thread, "mail")
        again = await consents.grant(pool, thread, "mail")
        assert (first.granted, first.scope_key, first.thread_id) == (True, "mail", thread)
        assert again.created_at > first.created_at
        assert await threads.active_scopes(pool, thread) == ("files", "mail")
        assert await consents.is_granted(pool, thread, "mail")
        last = await consents.revoke(pool, thread, "mail")
        calendar = await consents.grant(pool, thread, "calendar")
        assert await threads.active_scopes(pool, thread) == ("files", "calendar")
        assert not await consents.is_granted(pool, thread, "mail")
        assert await consents.state(pool, thread) == {"calendar": calendar, "mail": last}
        assert await consents.history(pool, thread, "mail") == (first, again, last)
        assert [each.id for each in await consents.history(pool, thread)][:3] == [first.id, again.id, last.id]

    with_pool(test)


def test_concurrent_decisions_leave_scopes_and_audit_in_agreement(with_pool: WithPool) -> None:
    async def test(pool: Any) -> None:
        thread = (await threads.create(pool)).id
        scopes = ["mail", "files", "calendar"]

        async def decide(number: int) -> None:
            for step in range(12):
                change = consents.grant if (number + step) % 2 else consents.revoke
                await change(pool, thread, scopes[(number * 7 + step) % 3])

        await asyncio.gather(*(decide(number) for number in range(9)))
        state = await consents.state(pool, thread)
        active = await threads.active_scopes(pool, thread)
        assert sorted(active) == sorted(key for key, consent in state.items() if consent.granted)
        for scope in scopes:
            stamps = [each.created_at for each in await consents.history(pool, thread, scope)]
            assert all(before < after for before, after in itertools.pairwise(stamps))
        assert len(await consents.history(pool, thread)) == 9 * 12

    with_pool(test)


def test_usage_is_summed_by_provider_and_model_under_the_providers_own_names(with_pool: WithPool, user: str) -> None:
    async def test(pool: Any) -> None:
        thread = (await threads.create(pool, user_id=user)).id
        other = (await threads.create(pool, user_id=user)).id

        def used(provider: str | None, model: str | None, **numbers: Any) -> NewMessage:
            return NewMessage(Role.AI, "", provider=provider, model=model, usage=numbers)

        await messages.append_many(
            pool,
            thread,
            [
                used("p", "a", input=1, output=2, detail={"cached": 9}, note="x"),
                used("p", "a", input=10, cost=0.25),
                used("p", "b", input=100),
                used(None, None, input=5),
                NewMessage(Role.AI, "", provider="p", model="b", usage=[1, 2]),
                human("none"),
            ],
        )
        await messages.append(pool, other, used("p", "a", input=1000))
        assert [
            (each.provider, each.model, each.messages, each.totals) for each in await usage.of_thread(pool, thread)
        ] == [
            ("p", "a", 2, {"input": 11, "output": 2, "cost": 0.25}),
            ("p", "b", 1, {"input": 100}),
            (None, None, 1, {"input": 5}),
        ]
        day = timedelta(days=1)
        now = datetime.now(UTC)
        whole = await usage.of_user(pool, user, since=now - day, until=now + day)
        assert [(each.model, each.messages, each.totals["input"]) for each in whole] == [
            ("a", 3, 1011),
            ("b", 1, 100),
            (None, 1, 5),
        ]
        assert await usage.of_user(pool, user, since=now + day, until=now + 2 * day) == ()

    with_pool(test)


@pytest.mark.parametrize("text", ["", "x", "2026-01-01_", f"_{UUID(int=7)}", f"2026-13-01T00:00:00Z_{UUID(int=7)}"])
def test_a_text_that_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        Cursor.parse(text)


def test_a_cursor_survives_a_url() -> None:
    cursor = Cursor(datetime(2026, 11, 23, 7, 8, 9, 123000, tzinfo=UTC), UUID(int=7))
    assert str(cursor) == "2026-11-23T07:08:09.123Z_00000000-0000-0000-0000-000000000007"
    assert Cursor.parse(str(cursor)) == cursor


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_size_out_of_range_is_refused(with_pool: WithPool, limit: int) -> None:
    async def test(pool: Any) -> None:
        with pytest.raises(ValueError, match="1 to 1000"):
            await messages.history(pool, uuid4(), limit=limit)

    with_pool(test)
