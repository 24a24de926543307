"""Trying again what did not get a lock: after growing pauses, for a while."""

from __future__ import annotations

import random
import time

# lock_not_available, deadlock_detected, serialization_failure: nothing was done, and it may be tried again.
TRY_AGAIN = frozenset({"55P03", "40P01", "40001"})

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0  # seconds
RETRY_FOR = 120.0  # seconds, from the first refusal


class Retries:
    """The pauses between the tries of one file, from its first refusal on."""

    def __init__(self, retry_for: float = RETRY_FOR) -> None:
        self._pause = _FIRST_PAUSE
        self._give_up = time.monotonic() + retry_for

    def next_pause(self) -> float | None:
        """How many seconds to wait before the next try, or None when it was tried for long enough."""
        pause = self._pause
        if time.monotonic() + pause > self._give_up:
            return None
        self._pause = min(pause * 2, _LONGEST_PAUSE)
        return random.uniform(pause / 2, pause)  # noqa: S311 - jitter, not a secret
