"""One question to a server, through what a URL becomes for a client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
from yoyo import get_backend

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL

CLIENTS = ("psycopg", "asyncpg", "yoyo")


def ask(url: DatabaseURL, client: str, question: str) -> Any:
    """The first value of a query's answer, through what the URL becomes for this client."""
    if client == "psycopg":
        settings = url.for_psycopg()
        with psycopg.connect(settings.dsn, **settings.connect) as connection:
            row = connection.execute(question.encode()).fetchone()
            return row[0] if row else None
    if client == "yoyo":
        backend = get_backend(url.for_yoyo().dsn)
        try:
            return backend.execute(question).fetchone()[0]
        finally:
            backend.connection.close()
    return asyncio.run(_ask_asyncpg(url, question))


async def _ask_asyncpg(url: DatabaseURL, question: str) -> Any:
    settings = url.for_asyncpg()
    connection = await asyncpg.connect(settings.dsn, **settings.connect)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()
