"""One generation at a time in a checkout: two would take the same number."""

from __future__ import annotations

import fcntl
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import TimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PATIENCE = 120.0  # seconds
_PAUSE = 0.1


@contextmanager
def generation_lock(state: Path) -> Iterator[None]:
    """Hold the checkout's lock on its migrations folder. The system releases it when the process ends, however it ends.

    Raises:
        TimedOut: another generation did not end in time.
    """
    state.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _PATIENCE
    with (state / "generate.lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise TimedOut(
                        f"another generation in this checkout did not end within {_PATIENCE:.0f} s",
                        remedy="Nothing was written. End it, then run this again.",
                    ) from None
                time.sleep(_PAUSE)
        yield
