"""Waiting for a compute that sleeps: Neon suspends one that nobody uses, and the first connection wakes it."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@dataclass(frozen=True, slots=True)
class Waking:
    """How long, and how often, a connection that could not be made is tried again.

    `seconds` is the time after which the last error is raised. The waits between two tries grow from `first` to
    `longest` seconds, each cut by chance to between nothing and its whole (full jitter), so that services do not come
    all at once.
    """

    seconds: float = 60.0
    first: float = 0.2
    longest: float = 5.0

    def around(
        self, connect: Callable[..., Awaitable[asyncpg.Connection]]
    ) -> Callable[..., Awaitable[asyncpg.Connection]]:
        """Wrap a connect() so that it tries again while the error is one that passes by itself."""

        async def waiting(*args: Any, **kwargs: Any) -> asyncpg.Connection:
            clock = asyncio.get_running_loop().time
            deadline = clock() + self.seconds
            ceiling = self.first
            while True:
                try:
                    return await connect(*args, **kwargs)
                except Exception as error:
                    wait = random.uniform(0, ceiling)  # noqa: S311 - spreads load, keeps no secret
                    if not passes_by_itself(error) or clock() + wait > deadline:
                        raise
                await asyncio.sleep(wait)
                ceiling = min(ceiling * 2, self.longest)

        return waiting


def passes_by_itself(error: Exception) -> bool:
    """Say whether a failed connection is worth another try: the server sleeps, starts, is full or out of reach."""
    if isinstance(error, ssl.SSLError):
        return False  # a certificate stays wrong
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    return isinstance(
        error,
        (
            OSError,  # refused, reset, unreachable, timed out
            asyncpg.CannotConnectNowError,  # starting up, shutting down
            asyncpg.TooManyConnectionsError,
            asyncpg.PostgresConnectionError,  # class 08
        ),
    )
