"""What a test of time writes, and where in time that was."""

from __future__ import annotations

from typing import Any

import psycopg


def write(url: str, *statements: str) -> list[str]:
    """Run each statement in a transaction of its own; returns the log's insert position after each."""
    found = []
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
            found.append(_one(connection, "SELECT pg_current_wal_insert_lsn()::text"))
    return found


def items(url: str) -> list[int]:
    """The ids in the table `item`."""
    with psycopg.connect(url) as connection:
        return [int(row[0]) for row in connection.execute("SELECT id FROM item ORDER BY id")]


def server_time(url: str) -> str:
    """The server's time, with its fraction of a second."""
    with psycopg.connect(url) as connection:
        return _one(connection, "SELECT to_char(clock_timestamp(), 'YYYY-MM-DD\"T\"HH24:MI:SS.USOF')")


def _one(connection: psycopg.Connection[Any], query: str) -> str:
    row = connection.execute(query).fetchone()
    assert row is not None
    return str(row[0])
