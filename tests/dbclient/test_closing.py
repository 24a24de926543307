"""How a pool closes: who waits is told, what runs is cancelled on the server, and a silent server keeps no slot."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest

from dbclient import closing
from dbclient.errors import PoolClosing, PoolNotOpen
from dbclient.pool import close_pool, get_pool, lifespan, open_pool
from tests.support.counting_proxy import CountingProxy
from tests.support.in_loop import in_loop
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer

HELD = "SELECT pg_advisory_xact_lock(19)"


class Watcher:
    """Another connection to the database: it can hold the lock that HELD waits for, and sees who runs what."""

    def __init__(self, connection: psycopg.Connection[Any], database: str) -> None:
        self._connection = connection
        self._database = database

    def hold(self) -> None:
        self._connection.execute("SELECT pg_advisory_lock(19)")

    def let_go(self) -> None:
        self._connection.execute("SELECT pg_advisory_unlock_all()")

    def running(self, like: str = "%") -> int:
        """How many of ai_service's statements that look like this the server is busy with."""
        row = self._connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = %s AND usename = 'ai_service' AND state = 'active' AND query LIKE %s",
            [self._database, like],
        ).fetchone()
        return row[0] if row else 0


@pytest.fixture
def watcher(ai_service: DatabaseURL, server: PostgresServer) -> Iterator[Watcher]:
    assert ai_service.database
    url = server.superuser.copy_with(database=ai_service.database)
    with psycopg.connect(url.reveal(), autocommit=True) as connection:
        yield Watcher(connection, ai_service.database)


async def seen(condition: Any) -> None:
    await asyncio.to_thread(until, condition, seconds=30)


def test_who_waits_for_a_connection_starts_nothing_after_the_close_began(
    service_url: DatabaseURL, watcher: Watcher
) -> None:
    async def test() -> None:
        pool = await open_pool(service_url, max_size=1)
        watcher.hold()
        running = asyncio.create_task(pool.execute(HELD))
        await seen(lambda: watcher.running("%advisory%") == 1)
        waiting = [asyncio.create_task(pool.fetchval("SELECT 1")) for _ in range(5)]
        await asyncio.sleep(0)
        close = asyncio.create_task(close_pool())
        await asyncio.sleep(0)
        with pytest.raises(PoolNotOpen):
            get_pool()
        watcher.let_go()
        assert await running == "SELECT 1"  # what was under way ends
        await close
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [PoolClosing] * 5
        with pytest.raises(asyncpg.InterfaceError, match="pool is clos"):
            await pool.fetchval("SELECT 1")

    in_loop(test())


def test_what_runs_too_long_is_cancelled_on_the_server_before_its_connection_ends(
    service_url: DatabaseURL, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "CLOSE_SECONDS", 0.2)

    async def test() -> None:
        pool = await open_pool(service_url, max_size=3)
        running = [asyncio.create_task(pool.fetchval("SELECT pg_sleep(600)")) for _ in range(2)]

        begun = asyncio.Event()

        async def thinks() -> None:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("SELECT 1")
                begun.set()
                await asyncio.sleep(600)

        thinking = asyncio.create_task(thinks())
        await seen(lambda: watcher.running("%pg_sleep(600)%") == 2)
        await begun.wait()
        waiting = asyncio.create_task(pool.fetchval("SELECT pg_sleep(600)"))
        await asyncio.sleep(0)
        await close_pool()
        assert watcher.running() == 0  # at once: none runs on until it notices that nobody listens
        outcomes = await asyncio.gather(*running, waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [asyncpg.QueryCanceledError] * 2 + [PoolClosing]
        thinking.cancel()
        with contextlib.suppress(asyncio.CancelledError, asyncpg.InterfaceError):
            await thinking

    in_loop(test())


def test_a_connection_that_is_made_while_the_pool_closes_is_not_used(ai_service: DatabaseURL) -> None:
    async def test() -> None:
        first, go_on, made = True, asyncio.Event(), []

        async def slow(*args: Any, **kwargs: Any) -> Any:
            nonlocal first
            if not first:
                await go_on.wait()
            first = False
            made.append(await asyncpg.connect(*args, **kwargs))
            return made[-1]

        pool = await open_pool(ai_service, max_size=2, connect=slow)
        async with pool.acquire():
            waiting = asyncio.create_task(pool.fetchval("SELECT 1"))
            await asyncio.sleep(0)
        await close_pool()
        go_on.set()
        with pytest.raises(PoolClosing):
            await waiting
        assert all(connection.is_closed() for connection in made)
        assert len(made) == 2

    in_loop(test())


def test_a_closing_that_is_interrupted_leaves_no_connection(ai_service: DatabaseURL, watcher: Watcher) -> None:
    async def test() -> None:
        pool = await open_pool(ai_service)
        running = asyncio.create_task(pool.fetchval("SELECT pg_sleep(600)"))
        await seen(lambda: watcher.running("%pg_sleep(600)%") == 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await close_pool()
        assert pool.get_size() == 0
        with pytest.raises(asyncpg.PostgresConnectionError):
            await running

    in_loop(test())


def test_a_connection_that_falls_silent_keeps_its_slot_for_seconds_only(
    ai_service: DatabaseURL, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(closing, "RELEASE_SECONDS", 0.3)

    async def test(proxy: CountingProxy) -> None:
        url = ai_service.copy_with(host="127.0.0.1", port=proxy.port)
        async with lifespan(None, url, max_size=1):
            assert await get_pool().fetchval("SELECT 1") == 1
            proxy.links[0].audible.clear()  # accepts what is sent, and is never heard of again
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await get_pool().fetchval("SELECT 2")
            async with asyncio.timeout(10):  # the query's own time-out is a minute
                assert await get_pool().fetchval("SELECT 3") == 3
            assert len(proxy.links) >= 2
            proxy.links[0].audible.set()

    with CountingProxy(ai_service.host, ai_service.port or 5432) as proxy:
        in_loop(test(proxy))
    assert "was dropped" in caplog.text


def test_a_pool_closes_though_the_server_fell_silent(ai_service: DatabaseURL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(closing, "CANCEL_SECONDS", 0.3)

    async def test(proxy: CountingProxy) -> None:
        pool = await open_pool(ai_service.copy_with(host="127.0.0.1", port=proxy.port), max_size=1)
        proxy.links[0].audible.clear()
        running = asyncio.create_task(pool.fetchval("SELECT 2"))
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await close_pool()
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await running
        proxy.links[0].audible.set()

    with CountingProxy(ai_service.host, ai_service.port or 5432) as proxy:
        in_loop(test(proxy))


def test_the_operating_system_ends_a_connection_whose_other_side_has_gone(ai_service: DatabaseURL) -> None:
    async def test() -> None:
        async with lifespan(None, ai_service), get_pool().acquire() as connection:
            sock = connection._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle = getattr(socket, "TCP_KEEPIDLE", None) or socket.TCP_KEEPALIVE  # type: ignore[attr-defined,unused-ignore]
            probes = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) * sock.getsockopt(
                socket.IPPROTO_TCP, socket.TCP_KEEPCNT
            )
            assert sock.getsockopt(socket.IPPROTO_TCP, idle) + probes == closing.SILENCE_SECONDS < 60
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == closing.SILENCE_SECONDS * 1000

    in_loop(test())
