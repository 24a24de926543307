"""Calls into libpq that may call back into Python, from where no exception can travel on: it would be lost there.

A signal handler runs wherever Python happens to be, and that can be such a callback. So a handler that raises does it by
`raise_or_keep`, and what was kept is raised as soon as the call has returned.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_kept: list[BaseException] = []
_inside = False


def raise_or_keep(error: BaseException) -> None:
    """Raise the error now, or when the call into libpq that is under way has returned."""
    if not _inside:
        raise error
    _kept.append(error)


def held(call: Callable[[], T]) -> T:
    """Make a call during which no signal's exception is raised. Handlers run in the main thread: another's calls are not held."""
    if threading.current_thread() is not threading.main_thread():
        return call()
    global _inside  # noqa: PLW0603 - a process has one set of signal handlers
    _inside = True
    try:
        return call()
    finally:
        _inside = False
        if _kept:
            error = _kept[0]
            _kept.clear()
            raise error
