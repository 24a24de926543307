"""The pool: opened once, patient with a sleeping server, and every connection set up alike."""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest

from dbclient.database import prepare_connection
from dbclient.errors import PoolAlreadyOpen, PoolNotOpen
from dbclient.pool import IDLE_SECONDS, close_pool, get_pool, lifespan, open_pool
from dbclient.url import DatabaseURL, InvalidDatabaseURL
from dbclient.waking import Waking, passes_by_itself
from tests.support.counting_proxy import CountingProxy
from tests.support.in_loop import in_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.server import PostgresServer

NEVER = DatabaseURL(host="127.0.0.1", port=1, user="u", database="d")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - asyncpg tells nobody
            await asyncio.sleep(0.01)


def test_there_is_no_pool_before_it_is_opened_and_after_it_is_closed(ai_service: DatabaseURL) -> None:
    async def test() -> None:
        with pytest.raises(PoolNotOpen, match=r"await open_pool\(\)"):
            get_pool()
        async with lifespan(object(), ai_service):
            assert await get_pool().fetchval("SELECT 1") == 1
        with pytest.raises(PoolNotOpen):
            get_pool()
        await close_pool()  # nothing to do

    in_loop(test())


def test_a_process_has_one_pool_and_a_failed_opening_leaves_none(ai_service: DatabaseURL) -> None:
    async def test() -> None:
        await open_pool(ai_service)
        with pytest.raises(PoolAlreadyOpen):
            await open_pool(ai_service)
        await close_pool()
        with pytest.raises(asyncpg.InvalidPasswordError) as raised:
            await open_pool(ai_service.copy_with(password="wrong-one"))
        assert "wrong-one" not in str(raised.value)
        with pytest.raises(PoolNotOpen):
            get_pool()
        await open_pool(ai_service)
        await close_pool()

    in_loop(test())


def test_the_connection_string_comes_from_the_environment_in_prismas_spelling(
    ai_service: DatabaseURL, monkeypatch: pytest.MonkeyPatch
) -> None:
    prisma = ai_service.reveal().replace("postgresql://", "postgres://")
    prisma += (
        "?schema=public&connection_limit=3&pool_timeout=5&connect_timeout=30&sslmode=prefer&channel_binding=prefer"
    )
    monkeypatch.setenv("DATABASE_URL", prisma)

    async def test() -> None:
        async with lifespan():
            assert get_pool().get_max_size() == 3
            assert await get_pool().fetchval("SELECT current_user") == "ai_service"

    in_loop(test())


def test_a_missing_or_broken_connection_string_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(InvalidDatabaseURL, match="set DATABASE_URL"):
        in_loop(open_pool())
    with pytest.raises(InvalidDatabaseURL, match="scheme"):
        in_loop(open_pool("mysql://u:p@h/d"))


def test_every_connection_speaks_utc_and_json_and_says_who_it_is(service_url: DatabaseURL) -> None:
    async def test() -> None:
        async with lifespan(None, service_url, application_name="ai-service", max_size=4):
            for connection in [await get_pool().acquire() for _ in range(4)]:
                assert await connection.fetchval("SHOW TimeZone") == "UTC"
                assert await connection.fetchval("SHOW application_name") == "ai-service"
                value = {"a": [1, None, "é"]}
                assert await connection.fetchval("SELECT $1::jsonb", value) == value
                assert await connection.fetchval("SELECT $1::json", value) == value
                with pytest.raises(asyncpg.DataError, match="not JSON compliant"):
                    await connection.fetchval("SELECT $1::jsonb", float("nan"))
                await get_pool().release(connection)

    in_loop(test())


def test_what_the_caller_says_wins_over_the_url_and_the_url_over_the_defaults(ai_service: DatabaseURL) -> None:
    async def test() -> None:
        seen = []

        async def init(connection: Any) -> None:
            seen.append(connection)

        url = ai_service.copy_merge_params({"connection_limit": "7", "application_name": "from-url"})
        async with lifespan(None, url, max_size=2, init=init, server_settings={"work_mem": "1MB"}):
            assert get_pool().get_max_size() == 2
            row = await get_pool().fetchrow("SELECT current_setting('work_mem'), current_setting('application_name')")
            assert tuple(row) == ("1MB", "from-url")
            assert len(seen) == 1
        async with lifespan(None, ai_service):
            assert (get_pool().get_min_size(), get_pool().get_max_size()) == (0, 10)

    in_loop(test())


def test_idle_connections_go_before_neon_drops_them(ai_service: DatabaseURL) -> None:
    assert IDLE_SECONDS < 300

    async def test() -> None:
        async with lifespan(None, ai_service, max_inactive_connection_lifetime=0.05):
            pool = get_pool()
            assert await pool.fetchval("SELECT 1") == 1
            await until(lambda: pool.get_size() == 0)
            assert await pool.fetchval("SELECT 2") == 2

    in_loop(test())


def test_a_server_that_wakes_late_is_waited_for(ai_service: DatabaseURL) -> None:
    with CountingProxy(ai_service.host, ai_service.port or 5432, listen_after=1.0) as proxy:
        url = ai_service.copy_with(host="127.0.0.1", port=proxy.port)

        async def test() -> None:
            async with lifespan(None, url, waking=Waking(seconds=30, first=0.05, longest=0.2)):
                assert await get_pool().fetchval("SELECT 1") == 1

        in_loop(test())


def test_a_server_that_stays_away_is_given_up_with_its_own_error() -> None:
    begun = time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        in_loop(open_pool(NEVER, waking=Waking(seconds=0.4, first=0.05)))
    assert time.monotonic() - begun < 30


def test_what_does_not_pass_by_itself_is_not_tried_again(ai_service: DatabaseURL) -> None:
    async def test() -> None:
        tries = 0

        async def connect(*args: Any, **kwargs: Any) -> Any:
            nonlocal tries
            tries += 1
            return await asyncpg.connect(*args, **kwargs)

        for wrong in (ai_service.copy_with(password="x"), ai_service.copy_with(database="not there")):
            with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidCatalogNameError)):
                await open_pool(wrong, connect=connect)
        assert tries == 2

    in_loop(test())


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (asyncpg.CannotConnectNowError("starting up"), True),
        (asyncpg.TooManyConnectionsError("full"), True),
        (asyncpg.ConnectionDoesNotExistError("lost"), True),
        (asyncpg.InvalidPasswordError("wrong"), False),
        (__import__("ssl").SSLCertVerificationError("wrong"), False),
        (__import__("socket").gaierror(__import__("socket").EAI_NONAME, "no such name"), False),
        (__import__("socket").gaierror(__import__("socket").EAI_AGAIN, "try again"), True),
        (ValueError(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_only_errors_that_pass_are_worth_another_try(error: Exception, again: bool) -> None:
    assert passes_by_itself(error) is again


def test_the_pool_recovers_when_the_server_dropped_every_connection(
    ai_service: DatabaseURL, server: PostgresServer
) -> None:
    async def test() -> None:
        async with lifespan(None, ai_service):
            assert await get_pool().fetchval("SELECT 1") == 1
            with psycopg.connect(server.superuser.reveal(), autocommit=True) as superuser:
                superuser.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                    [ai_service.database],
                )
            await until(lambda: get_pool().get_idle_size() == 0)  # the news has come in
            assert await get_pool().fetchval("SELECT 2") == 2

    in_loop(test())


def test_a_lifespan_takes_settings_by_partial(ai_service: DatabaseURL) -> None:
    async def test() -> None:
        async with partial(lifespan, url=ai_service, max_size=3)(object()):
            assert get_pool().get_max_size() == 3

    in_loop(test())


def test_a_connection_made_without_the_pool_can_be_prepared_alike(ai_service: DatabaseURL) -> None:
    async def test() -> None:
        settings = ai_service.for_asyncpg()
        connection = await asyncpg.connect(settings.dsn, **settings.connect)
        assert json.loads(await connection.fetchval("""SELECT '{"a": 1}'::jsonb""")) == {"a": 1}
        await prepare_connection(connection)
        assert await connection.fetchval("""SELECT '{"a": 1}'::jsonb""") == {"a": 1}
        await connection.close()

    in_loop(test())


def test_a_neon_host_is_given_ten_seconds_at_least() -> None:
    from dbclient.pool import _arguments

    neon = DatabaseURL.parse("postgresql://u:p@ep-a-1.eu.neon.tech/d?connect_timeout=5")
    assert _arguments(neon, "x", {})["timeout"] == 10
    assert _arguments(neon.copy_merge_params({"connect_timeout": None}), "x", {})["timeout"] >= 10
    assert _arguments(neon.copy_merge_params({"connect_timeout": "0"}), "x", {})["timeout"] is None
    assert _arguments(neon, "x", {"timeout": 3})["timeout"] == 3
