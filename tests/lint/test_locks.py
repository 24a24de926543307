"""The lock of a statement, against the server's own view of it: pg_locks while its transaction is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.lint.following import after
from pipeline.lint.locks import LOCKS, lock_of
from pipeline.lint.model import Schema
from pipeline.migrations.sql_text import statements
from tests.lint.statements import SETUP, STATEMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tests.support.server import PostgresServer

RELATIONS = """
SELECT array_agg(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('public', 'side') AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'i', 'I')
"""
HELD = """
SELECT DISTINCT upper(regexp_replace(replace(mode, 'Lock', ''), '([a-z])([A-Z])', '\\1 \\2', 'g'))
FROM pg_locks WHERE pid = pg_backend_pid() AND relation = ANY (%s::oid[])
"""
# May be told to be stronger than they are: the words do not say how far they reach, or minor releases differ.
OVERSTATED = {
    "GRANT SELECT ON a TO PUBLIC",
    "REVOKE ALL ON a FROM PUBLIC",
    "GRANT USAGE ON SEQUENCE sq TO PUBLIC",
    "ALTER MATERIALIZED VIEW mv SET (fillfactor = 70)",
    "ALTER TRIGGER tr ON a DEPENDS ON EXTENSION plpgsql",
    "ALTER STATISTICS st SET STATISTICS 10",
    "ALTER DOMAIN short ADD CONSTRAINT sc CHECK (VALUE <> '') NOT VALID",
}


@pytest.fixture(scope="module")
def connection(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """One database with one of everything, for all statements: each is rolled back."""
    database = server.create_database()
    with psycopg.connect(database.reveal()) as connection:
        connection.execute(SETUP)
        connection.commit()
        yield connection
    server.drop_database(database)


@pytest.fixture(scope="module")
def schema() -> Schema:
    found = Schema()
    for statement in statements(SETUP):
        found = after(found, statement)
    return found


@pytest.mark.parametrize("text", STATEMENTS)
def test_a_statement_takes_the_lock_that_is_told(
    connection: psycopg.Connection[Any], schema: Schema, text: str
) -> None:
    before = connection.execute(RELATIONS).fetchone()
    try:
        connection.execute(text)
        held = [row[0] for row in connection.execute(HELD, before).fetchall()]
    finally:
        connection.rollback()
    strongest = max(held, key=LOCKS.index, default=None)
    told = lock_of(statements(text)[0], schema)
    if text in OVERSTATED:
        assert _rank(told) >= _rank(strongest)
    else:
        assert told == strongest


def _rank(lock: str | None) -> int:
    return -1 if lock is None else LOCKS.index(lock)


@pytest.mark.parametrize(
    ("text", "lock"),
    [
        ("CREATE INDEX CONCURRENTLY i ON a (b)", "SHARE UPDATE EXCLUSIVE"),
        ("DROP INDEX CONCURRENTLY i", "SHARE UPDATE EXCLUSIVE"),
        ("REINDEX INDEX CONCURRENTLY i", "SHARE UPDATE EXCLUSIVE"),
        ("ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY", "SHARE UPDATE EXCLUSIVE"),
        ("VACUUM a", "SHARE UPDATE EXCLUSIVE"),
        ("VACUUM FULL a", "ACCESS EXCLUSIVE"),
        ("COPY a FROM STDIN", "ROW EXCLUSIVE"),
        ("COPY a TO STDOUT", "ACCESS SHARE"),
    ],
)
def test_what_runs_outside_a_transaction_has_the_lock_of_its_documentation(text: str, lock: str) -> None:
    assert lock_of(statements(text)[0]) == lock
