"""Ctrl-C and SIGTERM as an exception, so that what runs is cancelled on the server and the report stays true."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import DatabaseFailed, Interrupted
from pipeline.postgres.callbacks import raise_or_keep
from pipeline.postgres.session import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


RERUN = "Run it again: it goes on where this one stopped."


class SignalReceived(BaseException):
    """SIGINT or SIGTERM. Not an Exception: nothing but the run itself may take it for a failure of its own.

    `left` is what a statement outside a transaction left when it was cancelled: "" for nothing, None where nobody looked.
    """

    left: str | None = None

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


def _raise(number: int, _: FrameType | None) -> None:
    raise_or_keep(SignalReceived(number))


@contextmanager
def as_exceptions() -> Iterator[None]:
    """While inside, SIGINT and SIGTERM raise SignalReceived; the earlier handlers are restored at the end.

    Raises:
        Interrupted: one arrived where nobody inside knew how things stand.
    """
    before = {number: signal.signal(number, _raise) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except SignalReceived as received:
        raise Interrupted(
            "interrupted; `./inv status` tells what is applied.", signal_number=received.number, remedy=RERUN
        ) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stating_outcome(text: str) -> Iterator[None]:
    """Add to an interruption, or to a lost connection, what is true of the run then."""
    try:
        yield
    except SignalReceived as signal_received:
        raise Interrupted(f"interrupted; {text}", signal_number=signal_received.number, remedy=RERUN) from None
    except ConnectionLost as lost:
        raise DatabaseFailed(f"{lost.message}; {text}", remedy=RERUN) from lost
