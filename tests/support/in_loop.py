"""Async code in a test that is not async: a loop of its own, with a deadline."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


def in_loop(coroutine: Coroutine[Any, Any, T], *, seconds: float = 120.0) -> T:
    """Run it to its end; a TimeoutError when that takes too long."""

    async def timed() -> T:
        async with asyncio.timeout(seconds):
            return await coroutine

    return asyncio.run(timed())
