"""The connection strings of a branch, each as its client takes it.

Trap: the provider's `connection_uri` does not percent-encode the password, which then leads elsewhere or nowhere; these
are put together by `dbclient.url`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dbclient.url import DatabaseURL

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbclient.url import ClientSettings

# What Neon's own strings carry. Its servers take no connection without TLS.
TLS = (("sslmode", "require"),)


def for_deploy(host: str, user: str, password: str, database: str) -> str:
    """For the runner (psycopg): direct, as the owner."""
    return _render(DatabaseURL.for_psycopg, host, user, password, database)


def for_service(client: str) -> Callable[[str, str, str, str], str]:
    """For a service whose client takes connection strings as asyncpg, prisma or psycopg do: through the pooler."""
    renderings = {
        "asyncpg": DatabaseURL.for_asyncpg,
        "prisma": DatabaseURL.for_prisma,
        "psycopg": DatabaseURL.for_psycopg,
    }
    return partial(_render, renderings[client])


def _render(
    rendering: Callable[[DatabaseURL], ClientSettings], host: str, user: str, password: str, database: str
) -> str:
    """Compose and render. `host` may carry a port, as an emulated endpoint's does."""
    url = DatabaseURL.parse(f"postgresql://{host}").copy_with(
        user=user, password=password, database=database, params=TLS
    )
    return rendering(url).dsn
