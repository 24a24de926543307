"""The service's pool of connections: opened when it starts, closed when it stops.

app = Starlette(routes=…, lifespan=lifespan)     # the same for FastAPI

async with get_pool().acquire() as connection:
    rows = await connection.fetch('SELECT * FROM "Message" WHERE "threadId" = $1', thread_id)
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import asyncpg

from dbclient.closing import Gate, Pool
from dbclient.database import prepare_connection
from dbclient.errors import PoolAlreadyOpen, PoolNotOpen
from dbclient.url import DatabaseURL, InvalidDatabaseURL
from dbclient.url.parameters import is_behind_pooler
from dbclient.waking import Waking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

# Neon suspends a compute after five minutes without a query and drops its connections; these go first.
IDLE_SECONDS = 240.0
# A suspended compute answers in a few seconds, and at times in more: https://neon.com/docs/connect/connection-latency
CONNECT_SECONDS = 15.0
SHORTEST_CONNECT_SECONDS = 10.0
QUERY_SECONDS = 60.0

_pool: asyncpg.Pool | None = None
_gate = Gate()


async def open_pool(
    url: str | DatabaseURL | None = None,
    *,
    application_name: str = "dbclient",
    waking: Waking | None = None,
    **settings: Any,
) -> asyncpg.Pool:
    """Open the pool of this process, with one connection made, and return it.

    `url` is DATABASE_URL where it is not given, in any spelling that `DatabaseURL` reads. `waking` says how long a
    sleeping compute is waited for. Every other setting goes to `asyncpg.create_pool` and wins over what the URL says.

    Raises InvalidDatabaseURL, PoolAlreadyOpen, and asyncpg's errors when the server refuses or stays out of reach.
    """
    global _pool, _gate  # noqa: PLW0603 - the one pool of a process is what get_pool() is for
    if _pool is not None:
        raise PoolAlreadyOpen
    parsed = _parse(url)
    arguments = _arguments(parsed, application_name, settings)
    _gate = Gate()
    arguments["connect"] = (waking or Waking()).around(_gate.around(arguments.get("connect", asyncpg.connect)))
    arguments["setup"] = _gate.before_use(arguments.get("setup"))
    _pool = Pool(parsed.for_asyncpg().dsn, **arguments)
    try:
        await _pool
        await _pool.release(await _pool.acquire())  # what is wrong shows now, and not at the first request
    except BaseException:
        _pool.terminate()
        _pool = None
        raise
    return _pool


async def close_pool() -> None:
    """Close the pool. Does nothing when it is not open.

    Who waits for a connection gets PoolClosing. Queries under way may end for ten seconds, and are then cancelled on the
    server, which their callers see as asyncpg.QueryCanceledError. No statement runs on after it.
    """
    global _pool
    pool, _pool = _pool, None
    if pool is not None:
        await _gate.close(pool)


def get_pool() -> asyncpg.Pool:
    """Return the open pool. Raises PoolNotOpen before open_pool() and after close_pool()."""
    if _pool is None:
        raise PoolNotOpen
    return _pool


@contextlib.asynccontextmanager
async def lifespan(
    app: object = None,  # noqa: ARG001 - Starlette and FastAPI pass themselves
    /,
    url: str | DatabaseURL | None = None,
    **settings: Any,
) -> AsyncIterator[None]:
    """Keep the pool open while an app runs. With settings: `lifespan=functools.partial(lifespan, max_size=20)`."""
    await open_pool(url, **settings)
    try:
        yield
    finally:
        await close_pool()


def _parse(url: str | DatabaseURL | None) -> DatabaseURL:
    if isinstance(url, DatabaseURL):
        return url
    text = os.environ.get("DATABASE_URL", "") if url is None else url
    if not text:
        raise InvalidDatabaseURL("no connection string: set DATABASE_URL, or pass one to open_pool()")
    return DatabaseURL.parse(text)


def _arguments(url: DatabaseURL, application_name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Put together what asyncpg.create_pool takes beside the URL: our defaults, then the URL's, then the caller's."""
    rendered = url.for_asyncpg()
    arguments: dict[str, Any] = {
        # asyncpg never recycles the last `min_size` connections, and makes them anew when Neon suspends the compute,
        # which would wake it up again for nobody.
        "min_size": 0,
        "max_size": 10,
        "timeout": CONNECT_SECONDS,
        "command_timeout": QUERY_SECONDS,
        "max_inactive_connection_lifetime": IDLE_SECONDS,
        # asyncpg.create_pool's own:
        "max_queries": 50_000,
        "loop": None,
        "connection_class": asyncpg.Connection,
        "record_class": asyncpg.Record,
        **rendered.connect,
        **rendered.pool,
    }
    if url.is_neon and arguments["timeout"] is not None:
        arguments["timeout"] = max(arguments["timeout"], SHORTEST_CONNECT_SECONDS)
    if is_behind_pooler(url):
        arguments["reset"] = _let_go
    arguments |= settings
    at_start = {"timezone": "UTC"} if url.get("timezone") is None else {}
    if url.get("application_name") is None:
        at_start["application_name"] = application_name
    given = {**rendered.connect.get("server_settings", {}), **settings.get("server_settings", {})}
    arguments["server_settings"] = at_start | given
    arguments["init"] = _init_with(settings.get("init"))
    return arguments


async def _let_go(connection: asyncpg.Connection) -> None:
    """Send a query of nothing where asyncpg would send RESET ALL, whose application_name PgBouncer would take for ours.

    It is needed: after an argument that could not be encoded, asyncpg has parsed but not synchronised, and PgBouncer
    keeps a server's connection for this client until it hears of it again.
    """
    await connection.execute("SELECT")


def _init_with(more: Callable[[asyncpg.Connection], Awaitable[object]] | None) -> Callable[..., Awaitable[None]]:
    async def init(connection: asyncpg.Connection) -> None:
        await prepare_connection(connection)
        if more is not None:
            await more(connection)

    return init
