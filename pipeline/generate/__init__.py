"""From an edited schema.sql to migrations that are proven. What the flows work with: a workbench, one generation at a time."""

from __future__ import annotations

import fcntl
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import TimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.generate.differ import Differ

_DEADLINE = 120.0  # seconds
_PAUSE = 0.1


@dataclass(frozen=True)
class Workbench:
    """A checkout (`root`), the local database, and optionally another server for the shadows, or another differ."""

    root: Path
    local: DatabaseURL
    shadow: DatabaseURL | None = None  # SHADOW_DATABASE_URL
    chosen_differ: Differ | None = None

    @property
    def schema(self) -> Path:
        """The desired schema."""
        return self.root / "schema.sql"

    @property
    def migrations(self) -> Path:
        """The folder of migrations."""
        return self.root / "migrations"

    @property
    def page(self) -> Path:
        """The page with the ER diagram."""
        return self.root / "docs" / "schema.md"

    @property
    def state(self) -> Path:
        """The git-ignored folder of this checkout."""
        return self.root / ".local"

    @property
    def differ(self) -> Differ:
        """Who compares two databases."""
        from pipeline.generate.differ.pg_delta import PgDelta

        return self.chosen_differ or PgDelta(self.state / "differ")


@contextmanager
def generation_lock(state: Path) -> Iterator[None]:
    """Hold the checkout's lock on its migrations folder: two generations would take the same number.

    The system releases it when the process ends, however it ends.

    Raises:
        TimedOut: another generation did not end in time.
    """
    state.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _DEADLINE
    with (state / "generate.lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise TimedOut(
                        f"another generation in this checkout did not end within {_DEADLINE:.0f} s",
                        remedy="Nothing was written. End it, then run this again.",
                    ) from None
                time.sleep(_PAUSE)
        yield
