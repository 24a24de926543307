"""A connection string of any spelling, parsed once and rendered for each client.

    >>> url = DatabaseURL.parse("postgres://ada:s%40fe@ep-calm-1-pooler.eu.neon.tech/shop?schema=public&connection_limit=5")
    >>> url
    DatabaseURL('postgresql://ada:***@ep-calm-1-pooler.eu.neon.tech/shop?schema=public&connection_limit=5')
    >>> url.for_asyncpg().pool["max_size"]
    5

Importing it costs little more than `urllib.parse` and `typing`, since every verb of the pipeline does it first.
"""

from __future__ import annotations

from dbclient.errors import InvalidDatabaseURL
from dbclient.url import asyncpg, libpq, prisma
from dbclient.url.parts import URLParts
from dbclient.url.settings import ClientSettings

__all__ = ["ClientSettings", "DatabaseURL", "InvalidDatabaseURL"]


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
