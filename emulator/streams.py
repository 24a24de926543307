"""Two sides of a connection, and what carries bytes between them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 1 << 16


class Stream:
    """A reader with its writer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to_port(cls, port: int) -> Stream:
        """Connect to somebody on loopback."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, data: bytes) -> None:
        """Write, and wait while the other side is slow."""
        self.writer.write(data)
        await self.writer.drain()

    async def has_more(self) -> bool:
        """Whether more has come in than was read. The first byte of it is gone then."""
        try:
            async with asyncio.timeout(0):
                return bool(await self.reader.read(1))
        except TimeoutError:
            return False

    def close(self) -> None:
        """Close without waiting."""
        self.writer.close()


def _nothing() -> None:
    """Do nothing."""


async def pump(source: Stream, target: Stream, touch: Callable[[], None] = _nothing) -> None:
    """Carry bytes one way until the source ends; `touch` is called for each portion."""
    while data := await source.reader.read(_CHUNK):
        touch()
        await target.send(data)


async def splice(one: Stream, other: Stream, touch: Callable[[], None] = _nothing) -> None:
    """Carry bytes both ways until one side ends, whatever way it ends."""
    pumps = [asyncio.create_task(pump(one, other, touch)), asyncio.create_task(pump(other, one, touch))]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in pumps:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*pumps, return_exceptions=True)
