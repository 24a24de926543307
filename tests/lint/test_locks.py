"""The lock of a statement, against the server's own view of it: pg_locks while its transaction is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.lint.locks import LOCKS, lock_of
from pipeline.migrations.sql_text import statements

if TYPE_CHECKING:
    from chatdb.url import DatabaseURL

SETUP = """
CREATE TABLE a (id int PRIMARY KEY, t text, n int);
CREATE TABLE b (id int PRIMARY KEY, a_id int);
CREATE INDEX a_t ON a (t);
ALTER TABLE a ADD CONSTRAINT a_c CHECK (n > 0) NOT VALID;
CREATE VIEW v AS SELECT id FROM a;
CREATE TABLE p (id int) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TRIGGER tr BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();
"""
STATEMENTS = [
    "ALTER TABLE a ADD COLUMN x int",
    "ALTER TABLE a ALTER COLUMN t TYPE varchar(10)",
    "ALTER TABLE a ALTER COLUMN t SET STATISTICS 100",
    "ALTER TABLE a SET (fillfactor = 70)",
    "ALTER TABLE a VALIDATE CONSTRAINT a_c",
    "ALTER TABLE a DISABLE TRIGGER tr",
    "ALTER TABLE b ADD CONSTRAINT fk FOREIGN KEY (a_id) REFERENCES a (id)",
    "ALTER TABLE b ADD FOREIGN KEY (a_id) REFERENCES a (id) NOT VALID",
    "ALTER TABLE a ADD CONSTRAINT c2 CHECK (n > 1) NOT VALID",
    "ALTER TABLE a ALTER n SET STATISTICS 10, ADD COLUMN y int",
    "ALTER TABLE p DETACH PARTITION p1",
    "ALTER TABLE a RENAME TO c",
    "CREATE INDEX i ON a (n)",
    "CREATE UNIQUE INDEX i ON a (n)",
    "CREATE TRIGGER tr2 BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE STATISTICS s ON t, n FROM a",
    "CREATE TABLE c (a_id int REFERENCES a (id))",
    "CREATE TABLE c (id int)",
    "CREATE POLICY q ON a USING (true)",
    "COMMENT ON TABLE a IS 'x'",
    "DROP INDEX a_t",
    "DROP TABLE b",
    "DROP VIEW v",
    "TRUNCATE b",
    "INSERT INTO b VALUES (1, 1)",
    "UPDATE b SET a_id = 2",
    "SELECT * FROM b",
    "SELECT * FROM b FOR UPDATE",
    "LOCK TABLE b IN SHARE MODE",
    "LOCK TABLE b",
    "ANALYZE a",
    "REINDEX TABLE a",
    "CREATE OR REPLACE VIEW v AS SELECT id FROM a",
]
TABLES = """
SELECT array_agg(oid) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')
"""
HELD = """
SELECT DISTINCT upper(regexp_replace(replace(mode, 'Lock', ''), '([a-z])([A-Z])', '\\1 \\2', 'g'))
FROM pg_locks WHERE pid = pg_backend_pid() AND relation = ANY (%s::oid[])
"""


@pytest.mark.parametrize("text", STATEMENTS)
def test_a_statement_takes_the_lock_that_is_told(database: DatabaseURL, text: str) -> None:
    client = database.for_psycopg()
    with psycopg.connect(client.dsn, **client.connect) as connection:
        connection.execute(SETUP)
        before = connection.execute(TABLES).fetchone()
        connection.commit()
        connection.execute(text)
        held = [row[0] for row in connection.execute(HELD, before).fetchall()]
        connection.rollback()
    strongest = max(held, key=LOCKS.index, default=None)
    assert lock_of(statements(text)[0]) == strongest


def test_concurrent_statements_let_writers_go_on() -> None:
    for text in ("CREATE INDEX CONCURRENTLY i ON a (b)", "DROP INDEX CONCURRENTLY i", "REINDEX INDEX CONCURRENTLY i"):
        assert lock_of(statements(text)[0]) == "SHARE UPDATE EXCLUSIVE"
