"""The connection strings of a branch, each as its client takes it.

Trap: the provider's `connection_uri` does not percent-encode the password, which then leads elsewhere or nowhere; these
are put together by `chatdb.url`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb.url import DatabaseURL

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatdb.url import ClientSettings

# What Neon's own strings carry. Its servers take no connection without TLS.
TLS = (("sslmode", "require"),)


def for_deploy(host: str, user: str, password: str, database: str) -> str:
    """For the runner (psycopg): direct, as the owner."""
    return _render(DatabaseURL.for_psycopg, host, user, password, database)


def for_server(host: str, user: str, password: str, database: str) -> str:
    """For `server` (Prisma): through the pooler."""
    return _render(DatabaseURL.for_prisma, host, user, password, database)


def for_ai_service(host: str, user: str, password: str, database: str) -> str:
    """For `ai_service` (asyncpg): through the pooler."""
    return _render(DatabaseURL.for_asyncpg, host, user, password, database)


def _render(
    rendering: Callable[[DatabaseURL], ClientSettings], host: str, user: str, password: str, database: str
) -> str:
    """Compose and render. `host` may carry a port, as an emulated endpoint's does."""
    url = DatabaseURL.parse(f"postgresql://{host}").copy_with(
        user=user, password=password, database=database, params=TLS
    )
    return rendering(url).dsn
