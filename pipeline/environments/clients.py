"""A connection string as one client takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb.url import InvalidDatabaseURL
from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from chatdb.url import ClientSettings, DatabaseURL


def render(url: DatabaseURL, client: str) -> ClientSettings:
    """Give what connect() and pool of `asyncpg`, `prisma`, `psycopg` or `yoyo` take.

    Raises ConfigurationError: the URL asks for a protection that this client does not have.
    """
    renderings = {
        "asyncpg": url.for_asyncpg,
        "prisma": url.for_prisma,
        "psycopg": url.for_psycopg,
        "yoyo": url.for_yoyo,
    }
    try:
        return renderings[client]()
    except InvalidDatabaseURL as error:
        raise ConfigurationError(
            f"the connection string is not for {client}: {error}",
            remedy="Nothing that asks for protection is dropped. Ask in a way that this client knows (docs/services.md).",
        ) from None
