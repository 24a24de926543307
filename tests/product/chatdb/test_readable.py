"""chatdb refuses what PostgreSQL cannot store or Prisma could not read back, by the name of the field."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from chatdb import consents, messages, threads
from chatdb.messages import NewMessage, Role
from dbclient.errors import ClientError, UnreadableValue
from dbclient.readable import DEEPEST, LARGEST_WHOLE, dump_checked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    WithPool = Callable[[Callable[[Any], Awaitable[Any]]], Any]

HALF = "a\ud800b"


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def holds_itself() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


MESSAGES: list[tuple[str, dict[str, Any], str]] = [
    ("content", {"content": "a\0b"}, "NUL"),
    ("content", {"content": HALF}, "surrogate"),
    ("content", {"content": 5}, "not text but of type int"),
    ("content", {"content": None}, "not text but null"),
    ("content", {"content": b"x"}, "not text but of type bytes"),
    ("name", {"name": "\0"}, "NUL"),
    ("tool_call_id", {"tool_call_id": HALF}, "surrogate"),
    ("provider", {"provider": 1}, "not text"),
    ("model", {"model": "\0"}, "NUL"),
    ("tool_calls[1].id", {"tool_calls": [{"id": "a"}, {"id": "\0"}]}, "NUL"),
    ("a key of usage.a", {"usage": {"a": {"\0": 1}}}, "NUL"),
    ("a key of meta_json", {"meta_json": {HALF: 1}}, "surrogate"),
    ("meta_json.n", {"meta_json": {"n": LARGEST_WHOLE + 1}}, "2^53"),
    ("meta_json.n", {"meta_json": {"n": -(10**40)}}, "2^53"),
    ("usage", {"usage": float("nan")}, "no JSON"),
    ("usage", {"usage": {"total": float("inf")}}, "no JSON"),
    ("usage", {"usage": {1, 2}}, "no JSON"),
    ("meta_json", {"meta_json": nested(DEEPEST + 1)}, "levels deep"),
    ("meta_json", {"meta_json": nested(100_000)}, "too deeply"),
    ("meta_json", {"meta_json": holds_itself()}, ""),
]


def test_a_message_that_a_client_could_not_read_back_is_refused_with_its_field(with_pool: WithPool) -> None:
    async def test(pool: Any) -> None:
        thread = await threads.create(pool)
        plain = NewMessage(Role.HUMAN, "x")
        for field, values, fault in MESSAGES:
            with pytest.raises(UnreadableValue) as raised:
                await messages.append(pool, thread.id, replace(plain, **values))
            assert raised.value.field == field
            assert fault in str(raised.value)
            assert isinstance(raised.value, ValueError)
            assert isinstance(raised.value, ClientError)
            with pytest.raises(UnreadableValue) as raised:
                await messages.append_many(pool, thread.id, [plain, replace(plain, **values)])
            assert "[1]." in raised.value.field
        assert (await messages.history(pool, thread.id)).rows == ()

    with_pool(test)


def test_scope_keys_are_texts_and_never_null(with_pool: WithPool) -> None:
    async def test(pool: Any) -> None:
        thread = await threads.create(pool, active_scope_keys=["a"])
        wrong: list[tuple[Any, str]] = [
            (["a", None], "[1]"),
            ([HALF], "[0]"),
            (["\0"], "[0]"),
            ([3], "[0]"),
            ("mail", ""),
        ]
        for keys, field in wrong:
            with pytest.raises(UnreadableValue) as raised:
                await threads.create(pool, active_scope_keys=keys)
            assert raised.value.field == f"active_scope_keys{field}"
            with pytest.raises(UnreadableValue):
                await threads.set_active_scopes(pool, thread.id, keys)
        for decide in (consents.grant, consents.revoke):
            for key in (None, "\0", HALF, 1):
                with pytest.raises(UnreadableValue, match="scope_key"):
                    await decide(pool, thread.id, key)  # type: ignore[arg-type]
        with pytest.raises(UnreadableValue, match="user_id"):
            await threads.create(pool, user_id="\0")
        with pytest.raises(UnreadableValue, match="model"):
            await threads.create(pool, model=HALF)
        assert await threads.active_scopes(pool, thread.id) == ("a",)
        assert await consents.history(pool, thread.id) == ()

    with_pool(test)


def test_what_looks_alike_and_can_be_read_is_stored(with_pool: WithPool) -> None:
    value = {
        "largest": LARGEST_WHOLE,
        "least": -LARGEST_WHOLE,
        "text": "9007199254740993",
        "backslash": "\\u0000",
        "double": 1.2345678901234567,
        "pair": "\U0001f600",
        "deep": nested(DEEPEST - 2),
        "wide": [[] for _ in range(2 * DEEPEST)],
    }

    async def test(pool: Any) -> None:
        thread = await threads.create(pool, active_scope_keys=["NULL", "", "é"])
        assert thread.active_scope_keys == ("NULL", "", "é")
        stored = await messages.append(pool, thread.id, NewMessage(Role.AI, "\u0001 é \U0001f600", meta_json=value))
        assert stored.meta_json == value
        assert stored.content == "\u0001 é \U0001f600"

    with_pool(test)


def test_json_that_goes_by_another_query_is_looked_at_as_well(with_pool: WithPool) -> None:
    async def test(pool: Any) -> None:
        for value, fault in (({"n": LARGEST_WHOLE + 1}, "2\\^53"), ("\0", "NUL"), (HALF, "surrogate")):
            with pytest.raises(asyncpg.DataError, match=fault):
                await pool.fetchval("SELECT $1::jsonb", value)

    with_pool(test)


def test_a_tuple_is_a_list_and_names_of_other_types_are_text() -> None:
    assert dump_checked("x", {10**20: (1, 2)}) == '{"100000000000000000000":[1,2]}'
