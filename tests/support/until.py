"""Waiting for something to become true, with a deadline instead of a guess."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def until(condition: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Ask again and again until the condition holds.

    Raises:
        TimeoutError: it did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the condition did not come true in time")
        time.sleep(0.01)
