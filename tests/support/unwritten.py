"""Showing that something writes nothing, on a server that writes of its own accord as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sample import Database

Result = TypeVar("Result")


def writes_nothing(db: Database, action: Callable[[], Result]) -> Result:
    """Run the action until the server's WAL stands still meanwhile, and return what it returned.

    The position belongs to the whole server: autovacuum, a checkpoint, or a page that a reader prunes moves it too, but
    not every time. An action that writes moves it each time. The action must be one that can be repeated.

    Raises:
        AssertionError: the position moved in each of the attempts.
    """
    moved: list[tuple[object, object]] = []
    for _ in range(5):
        before = db.value(_POSITION)
        returned = action()
        after = db.value(_POSITION)
        if after == before:
            return returned
        moved.append((before, after))
    raise AssertionError(f"the WAL position moved each time: {moved}")


_POSITION = "SELECT pg_current_wal_insert_lsn()"
