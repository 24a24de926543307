"""What lint believes of PostgreSQL, against a server: volatility, rewrites, scans, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.lint.column_types import rewrites
from pipeline.lint.definitions import type_text
from pipeline.lint.expressions import CONSTANT_FUNCTIONS, constant_functions, volatile_call
from pipeline.lint.model import Schema
from pipeline.lint.rules import RULES
from pipeline.migrations.sql_text import statements, tokens
from tests.lint.sources import behind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tests.support.server import PostgresServer

TYPES = [
    ("varchar(100)", "varchar(255)"),
    ("varchar(100)", "text"),
    ("varchar(100)", "varchar"),
    ("varchar", "varchar(10)"),
    ("varchar(100)", "varchar(50)"),
    ("text", "varchar"),
    ("text", "varchar(10)"),
    ("text", "text"),
    ("char(3)", "char(5)"),
    ("char(3)", "text"),
    ("int", "bigint"),
    ("int", "integer"),
    ("bigint", "int"),
    ("smallint", "int"),
    ("numeric(10,2)", "numeric(14,2)"),
    ("numeric(10,2)", "numeric(14,4)"),
    ("numeric(10,2)", "numeric"),
    ("numeric(10, 2)", "decimal(8,2)"),
    ("numeric", "numeric(10,2)"),
    ("timestamptz(3)", "timestamptz(6)"),
    ("timestamptz(3)", "timestamptz"),
    ("timestamptz", "timestamptz(3)"),
    ("timestamptz(6)", "timestamptz(3)"),
    ("timestamp(3) without time zone", "timestamp(6)"),
    ("time(3)", "time(6)"),
    ("interval(3)", "interval(6)"),
    ("real", "double precision"),
    ("varbit(5)", "varbit(10)"),
    ("varbit(5)", "varbit"),
    ("bit(5)", "bit(5)"),
    ("inet", "cidr"),
    ("cidr", "inet"),
    ("text[]", "varchar[]"),
    ("varchar(10)[]", "varchar(20)[]"),
    ("jsonb", "json"),
]
DEFAULTS = [
    "1", "-1", "'x'", "CURRENT_DATE", "CURRENT_TIMESTAMP", "current_user", "lower('A')", "now() - interval '1 day'", "now()",
    "gen_random_uuid()", "random()", "clock_timestamp()", "timeofday()", "coalesce(1, 2)", "(1 + 2) * 3", "ARRAY[1, 2]",
    "CAST('1' AS numeric(10, 2))", "'1'::numeric(10, 2)", "pg_catalog.random() * 2", "date_trunc('day', now())",
    "extract(year FROM now())", "substring('abc' FROM 2)", "jsonb_build_object('a', 1)", "nextval('counter')", "wobbly()",
    "steady()", "md5(random()::text)",
]  # fmt: skip
FUNCTIONS = """
CREATE SEQUENCE counter;
CREATE FUNCTION wobbly() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;
CREATE FUNCTION steady() RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;
"""


@pytest.fixture(scope="module")
def connection(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    database = server.create_database()
    with psycopg.connect(database.reveal(), autocommit=True) as connection:
        connection.execute(FUNCTIONS)
        yield connection
    server.drop_database(database)


def written_again(connection: psycopg.Connection[Any], alter: str) -> bool:
    """Whether the statement gives the table `t` another file, which is what a rewrite is."""
    node = "SELECT pg_relation_filenode('t')"
    before = connection.execute(node).fetchone()
    connection.execute(alter)
    return connection.execute(node).fetchone() != before


@pytest.mark.parametrize(("old", "new"), TYPES)
def test_a_type_is_changed_with_or_without_a_rewrite(connection: psycopg.Connection[Any], old: str, new: str) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute(f"CREATE TABLE t (c {old})")
        really = written_again(connection, f"ALTER TABLE t ALTER c TYPE {new}")
    assert rewrites(*(type_text(tuple(tokens(each))) for each in (old, new))) == really


@pytest.mark.parametrize("default", DEFAULTS)
def test_a_default_is_volatile_when_the_server_writes_every_row(
    connection: psycopg.Connection[Any], default: str
) -> None:
    schema = behind(FUNCTIONS, "SELECT 1").before
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
        type_ = connection.execute(f"SELECT pg_typeof({default})::text").fetchone()
        assert type_ is not None
        text = "text" if type_[0] == "unknown" else type_[0]
        really = written_again(connection, f"ALTER TABLE t ADD COLUMN c {text} DEFAULT {default}")
    assert bool(volatile_call(tuple(tokens(default)), schema)) == really


def test_the_table_of_functions_is_the_servers(connection: psycopg.Connection[Any]) -> None:
    if connection.info.server_version // 10000 != 16:
        pytest.skip(f"the table is that of PostgreSQL 16, and this server is {connection.info.server_version}")
    names = {row[0] for row in connection.execute(CONSTANT_FUNCTIONS).fetchall()}
    assert constant_functions() == names


SCANS = [
    # (made before, statement, the rule)
    ("ALTER TABLE t ADD CONSTRAINT k CHECK (a IS NOT NULL)", "ALTER TABLE t ALTER a SET NOT NULL", "set-not-null"),
    ("ALTER TABLE t ADD CONSTRAINT k CHECK (b IS NOT NULL)", "ALTER TABLE t ALTER a SET NOT NULL", "set-not-null"),
    (
        "ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0 AND a IS NOT NULL)",
        "ALTER TABLE t ALTER a SET NOT NULL",
        "set-not-null",
    ),
    (
        "ALTER TABLE t ADD CONSTRAINT k CHECK (a IS NOT NULL OR b > 0)",
        "ALTER TABLE t ALTER a SET NOT NULL",
        "set-not-null",
    ),
    ("ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0)", "ALTER TABLE t ALTER a SET NOT NULL", "set-not-null"),
    (
        "ALTER TABLE t ADD CONSTRAINT k CHECK (a IS NOT NULL) NOT VALID",
        "ALTER TABLE t ALTER a SET NOT NULL",
        "set-not-null",
    ),
    ("ALTER TABLE t ADD PRIMARY KEY (a)", "ALTER TABLE t ALTER a SET NOT NULL", "set-not-null"),
    ("SELECT 1", "ALTER TABLE t ADD COLUMN x int CHECK (x > 0)", "constraint-missing-not-valid"),
    ("SELECT 1", "ALTER TABLE t ADD CHECK (a > 0) NOT VALID", "constraint-missing-not-valid"),
    ("SELECT 1", "ALTER TABLE t ADD CHECK (a > 0)", "constraint-missing-not-valid"),
    ("SELECT 1", "ALTER TABLE p ATTACH PARTITION t FOR VALUES FROM (1) TO (10)", "attach-partition"),
    (
        "ALTER TABLE t ADD CHECK (a IS NOT NULL AND a >= 1 AND a < 10)",
        "ALTER TABLE p ATTACH PARTITION t FOR VALUES FROM (1) TO (10)",
        "attach-partition",
    ),
    (
        "ALTER TABLE t ADD CHECK (a >= 1 AND a < 10)",
        "ALTER TABLE p ATTACH PARTITION t FOR VALUES FROM (1) TO (10)",
        "attach-partition",
    ),
]


@pytest.mark.parametrize(("before", "statement", "rule"), SCANS)
def test_a_scan_is_found_where_the_server_reads_the_table(
    connection: psycopg.Connection[Any], before: str, statement: str, rule: str
) -> None:
    setup = "CREATE TABLE t (a int, b int); CREATE TABLE p (a int, b int) PARTITION BY RANGE (a)"
    with connection.transaction(force_rollback=True):
        connection.execute(f"{setup}; INSERT INTO t VALUES (1, 1); {before}")
        told: list[str] = []
        connection.add_notice_handler(handler := lambda notice: told.append(notice.message_primary or ""))
        connection.execute("SET LOCAL client_min_messages = debug1")
        connection.execute(statement)
        connection.remove_notice_handler(handler)
    reads = any(message.startswith("verifying table") for message in told)
    assert bool(list(RULES[rule](behind(f"{setup}; {before}", statement)))) == reads


@pytest.mark.parametrize(
    "refused",
    [
        "CREATE INDEX CONCURRENTLY j ON p (a)",
        "ALTER TABLE p ADD FOREIGN KEY (b) REFERENCES k (id) NOT VALID",
        "ALTER TABLE p ADD UNIQUE USING INDEX i",
    ],
)
def test_what_lint_does_not_ask_for_on_a_partitioned_table_is_refused_by_the_server(
    connection: psycopg.Connection[Any], refused: str
) -> None:
    if connection.info.server_version >= 180000 and "NOT VALID" in refused:
        pytest.skip("PostgreSQL 18 has NOT VALID for the key of a partitioned table")
    made = "CREATE TABLE k (id int PRIMARY KEY); CREATE TABLE p (a int, b int) PARTITION BY RANGE (a)"
    connection.execute(f"{made}; CREATE UNIQUE INDEX i ON ONLY p (a, b)")
    try:
        with pytest.raises(psycopg.Error, match="partitioned"):
            connection.execute(refused)
    finally:
        connection.execute("DROP TABLE p, k")


def test_the_steps_that_lint_gives_for_a_partitioned_table_run(connection: psycopg.Connection[Any]) -> None:
    steps = """
    CREATE TABLE k (id int PRIMARY KEY);
    CREATE TABLE p (a int, b int) PARTITION BY RANGE (a);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
    CREATE INDEX p_b ON ONLY p (b);
    CREATE INDEX CONCURRENTLY p1_b ON p1 (b);
    ALTER INDEX p_b ATTACH PARTITION p1_b;
    ALTER TABLE ONLY p ADD CONSTRAINT p_key UNIQUE (a, b);
    CREATE UNIQUE INDEX CONCURRENTLY p1_key ON p1 (a, b);
    ALTER TABLE p1 ADD CONSTRAINT p1_key UNIQUE USING INDEX p1_key;
    ALTER INDEX p_key ATTACH PARTITION p1_key;
    ALTER TABLE p1 ADD CONSTRAINT p_fk FOREIGN KEY (b) REFERENCES k (id) NOT VALID;
    ALTER TABLE p1 VALIDATE CONSTRAINT p_fk;
    ALTER TABLE p ADD CONSTRAINT p_fk FOREIGN KEY (b) REFERENCES k (id);
    """
    for statement in statements(steps):
        connection.execute(statement.text)
    valid = connection.execute("SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid = 'p'::regclass").fetchone()
    assert valid == (True,)
    keys = "SELECT count(*) FROM pg_constraint WHERE conrelid = 'p1'::regclass AND contype = 'f'"
    assert connection.execute(keys).fetchone() == (1,)


def test_an_empty_schema_knows_no_function() -> None:
    assert volatile_call(tuple(tokens("make_code()")), Schema()) == "make_code"
