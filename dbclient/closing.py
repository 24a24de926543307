"""How connections end: those of a pool that closes, and those whose other side has gone without a word."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING, Any

import asyncpg

from dbclient.errors import PoolClosing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Connect = Callable[..., Awaitable[asyncpg.Connection]]

# What is under way when the pool closes may end by itself for so long; then it is cancelled.
CLOSE_SECONDS = 10.0
# How long the server has for the answer to a cancellation, and to what makes a used connection as new.
CANCEL_SECONDS = 3.0
_ROUNDS = 3
RELEASE_SECONDS = 5.0
# A connection whose other side has gone is ended after so many seconds of silence: sent data that nobody acknowledged,
# or probes that nobody answered. A query that simply takes long is acknowledged, and goes on.
SILENCE_SECONDS = 25
_PROBES = 3
_PROBE_SECONDS = 5

_log = logging.getLogger(__name__)


class Gate:
    """What every connection of a pool passes, so that none begins after the pool began to close."""

    def __init__(self) -> None:
        self._shut = False

    def around(self, connect: Connect) -> Connect:
        """Wrap a connect(): refused once the pool closes, and ended when that happened meanwhile."""

        async def guarded(*args: Any, **kwargs: Any) -> asyncpg.Connection:
            self._check()
            connection = await connect(*args, **kwargs)
            if self._shut:
                connection.terminate()
            self._check()
            end_when_silent(connection)
            return connection

        return guarded

    def before_use(self, setup: Callable[[Any], Awaitable[object]] | None) -> Callable[[Any], Awaitable[None]]:
        """Wrap the pool's `setup`, which runs before a connection is handed out: not to whoever waited until the close."""

        async def guarded(connection: Any) -> None:
            self._check()
            if setup is not None:
                await setup(connection)

        return guarded

    async def close(self, pool: asyncpg.Pool) -> None:
        """Close the pool: what is under way may end for CLOSE_SECONDS and is then cancelled on the server."""
        self._shut = True
        closing = asyncio.ensure_future(pool.close())
        try:
            await asyncio.wait([closing], timeout=CLOSE_SECONDS)
            for _ in range(_ROUNDS):  # more than one: a caller may begin the next statement of its transaction
                if closing.done():
                    break
                await _cancel_what_runs(pool)
                await asyncio.wait([closing], timeout=CANCEL_SECONDS / _ROUNDS)
        finally:
            pool.terminate()  # nothing, where all of them have ended
            closing.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await closing

    def _check(self) -> None:
        if self._shut:
            raise PoolClosing


async def _cancel_what_runs(pool: asyncpg.Pool) -> None:
    """Send a cancellation for each connection that somebody has.

    Connection.close() would send it too; but where the server then drops the connection, asyncpg gives the caller of the
    query None in place of an error. asyncpg has no public way to cancel and nothing else.
    """
    used = [holder._con for holder in pool._holders if not holder.is_idle() and holder._con is not None]  # noqa: SLF001
    loop = asyncio.get_running_loop()
    sent = [asyncio.wait_for(connection._cancel(loop.create_future()), CANCEL_SECONDS) for connection in used]  # noqa: SLF001
    await asyncio.gather(*sent, return_exceptions=True)


class Pool(asyncpg.Pool):  # type: ignore[misc] # it ships no types
    """asyncpg's pool, which gives a slot back in seconds also when the server does not answer."""

    __slots__ = ()

    async def release(self, connection: Any, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the base has it
        """Release a connection, made as new; one that does not answer in time is ended, and another takes its place."""
        try:
            await super().release(connection, timeout=RELEASE_SECONDS if timeout is None else timeout)
        except TimeoutError:
            # asyncpg has ended the connection. What the caller did on it is not undone by that, so it is no error.
            _log.warning("a connection did not answer in %s s when it was given back, and was dropped", RELEASE_SECONDS)


def end_when_silent(connection: asyncpg.Connection) -> None:
    """Let the operating system end a connection whose other side has gone, as far as it knows how.

    TCP_USER_TIMEOUT is Linux's; macOS calls the idle time TCP_KEEPALIVE. Elsewhere the query's own time-out remains.
    """
    transport = getattr(connection, "_transport", None)
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    idle = SILENCE_SECONDS - _PROBES * _PROBE_SECONDS
    wanted = {
        "TCP_KEEPIDLE": idle,
        "TCP_KEEPALIVE": idle,
        "TCP_KEEPINTVL": _PROBE_SECONDS,
        "TCP_KEEPCNT": _PROBES,
        "TCP_USER_TIMEOUT": SILENCE_SECONDS * 1000,
    }
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in wanted.items():
            option = getattr(socket, name, None)
            if option is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
