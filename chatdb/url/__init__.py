"""A connection string of any spelling, parsed once and rendered for each client.

    >>> url = DatabaseURL.parse("postgres://ada:s%40fe@ep-calm-1-pooler.eu.neon.tech/chat?schema=public&connection_limit=5")
    >>> url
    DatabaseURL('postgresql://ada:***@ep-calm-1-pooler.eu.neon.tech/chat?schema=public&connection_limit=5')
    >>> url.for_asyncpg().pool["max_size"]
    5

Importing it costs little more than `urllib.parse` and `typing`, since every verb of the pipeline does it first.
"""

from chatdb.url.invalid import InvalidDatabaseURL
from chatdb.url.settings import ClientSettings
from chatdb.url.value import DatabaseURL

__all__ = ["ClientSettings", "DatabaseURL", "InvalidDatabaseURL"]
