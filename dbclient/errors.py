"""What dbclient raises by itself. What the database refuses comes as asyncpg's own errors.

::

    ClientError
     +-- PoolNotOpen       get_pool() before open_pool(), or after close_pool()
     |    +-- PoolClosing  a connection was waited for when close_pool() began
     +-- PoolAlreadyOpen   open_pool() twice
     +-- InvalidCursor     a page was asked for with a text that is no cursor
     +-- UnreadableValue   a value that PostgreSQL, or another of its clients, could not hold or read back
    InvalidDatabaseURL     a connection string that cannot be used: raised before there is any database
"""

from __future__ import annotations


class ClientError(Exception):
    """A failure that was found here, and not by the database."""


class PoolNotOpen(ClientError):
    """The pool is not open."""

    def __init__(self) -> None:
        super().__init__(
            "the pool is not open: await open_pool() when the service starts, or give dbclient.pool.lifespan to the app"
        )


class PoolClosing(PoolNotOpen):
    """The pool began to close before there was a connection for this caller."""

    def __init__(self) -> None:
        ClientError.__init__(self, "the pool is closing: nothing was sent to the database")


class PoolAlreadyOpen(ClientError):
    """The pool is open already."""

    def __init__(self) -> None:
        super().__init__("the pool is open already: one process has one; await close_pool() first")


class InvalidCursor(ClientError, ValueError):
    """A text that is no cursor of a page."""

    def __init__(self) -> None:
        super().__init__("not a cursor: pass back the `next` of a page, unchanged")


class UnreadableValue(ClientError, ValueError):
    """A value that PostgreSQL, or another of its clients, could not hold or read back. `field` says which."""

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(f"{field} {fault}")
        self.field = field


class InvalidDatabaseURL(ValueError):
    """A connection string that cannot be used.

    The message is put together from fixed words: it never repeats a piece of the string, because in a string with a
    fault nobody can tell where the password begins and ends.
    """
