"""A PostgreSQL 16 for the run, with its default settings: every commit waits for the disk."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from pipeline.postgres.embedded import EmbeddedServer
from services import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dbclient.url import DatabaseURL

_SETTINGS = {
    # What starts by itself would disturb one tool and not the next.
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "4GB",
}


class Server:
    """A server with the product's owner, which owns the databases that are measured on."""

    def __init__(self, superuser: DatabaseURL, owner: DatabaseURL) -> None:
        self.superuser = superuser
        self.owner = owner

    def make_database(self, name: str) -> DatabaseURL:
        """An empty database of that name, in the place of one that was there."""
        with psycopg.connect(self.superuser.reveal(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(*map(sql.Identifier, (name, OWNER)))
            )
            connection.execute("CHECKPOINT")
        return self.owner.copy_with(database=name)

    def execute(self, database: DatabaseURL, statements: str) -> None:
        """Run statements as the owner."""
        with psycopg.connect(database.reveal()) as connection:
            connection.execute(statements.encode())


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """Give a server in the folder while inside; nothing of it stays."""
    embedded = EmbeddedServer(folder, settings=_SETTINGS)
    try:
        record = embedded.start()
        yield Server(record.superuser, record.owner)
    finally:
        embedded.destroy()
