"""A connection string as one client takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbclient.url import InvalidDatabaseURL
from dbclient.url.parameters import is_behind_pooler
from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from dbclient.url import ClientSettings, DatabaseURL


# Prisma sends an instant as text without a zone, which the server reads in the session's: prisma/orm issue 28629.
_UTC = "-c TimeZone=UTC"


def render(url: DatabaseURL, client: str) -> ClientSettings:
    """Give what connect() and pool of `asyncpg`, `prisma`, `psycopg` or `yoyo` take.

    Prisma's session is in UTC wherever a start-up option can say so; through a pooler the role's own setting has to.

    Raises ConfigurationError: the URL asks for a protection that this client does not have.
    """
    if client == "prisma" and not is_behind_pooler(url):
        # of two options that set the same, the server takes the last
        url = url.copy_merge_params({"options": f"{url.get('options') or ''} {_UTC}".lstrip()})
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
