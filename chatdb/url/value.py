"""The value that everybody uses: the parts of a connection string, and what each client takes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb.url import asyncpg, libpq, prisma
from chatdb.url.parts import URLParts

if TYPE_CHECKING:
    from chatdb.url.settings import ClientSettings


class DatabaseURL(URLParts):
    """A connection string, taken apart. Immutable, comparable, hashable; `repr` and `str` mask every secret."""

    __slots__ = ()

    def for_psycopg(self) -> ClientSettings:
        """For psycopg.connect and psycopg_pool.ConnectionPool."""
        return libpq.for_psycopg(self)

    def for_asyncpg(self) -> ClientSettings:
        """For asyncpg.connect and asyncpg.create_pool."""
        return asyncpg.for_asyncpg(self)

    def for_prisma(self) -> ClientSettings:
        """For Prisma 7's pg adapter and node-postgres.

        `connect` holds the adapter's options (`new PrismaPg(config, options)`), `pool` those of node-postgres's pool.
        """
        return prisma.for_prisma(self)

    def for_yoyo(self) -> ClientSettings:
        """For yoyo's command line and API, with its psycopg 3 backend."""
        return libpq.for_yoyo(self)
