"""What does not make two catalogs differ, what reading one costs, and who may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from pipeline.schema.catalog import Catalog, Difference, SchemaObject, read_catalog
from tests.support.counting_proxy import CountingProxy

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer


def test_the_order_of_columns_does_not_matter(owner: psycopg.Connection[Any]) -> None:
    owner.execute("CREATE TABLE t (a integer, b text DEFAULT 'x')")
    before = read_catalog(owner)
    owner.execute("DROP TABLE t")
    owner.execute("CREATE TABLE t (b text DEFAULT 'x', a integer)")

    assert before.differences(read_catalog(owner)) == []


@pytest.mark.parametrize(
    ("made", "then"),
    [
        ("CREATE SEQUENCE s", "SELECT nextval('s')"),
        ("CREATE TABLE t (n integer)", "INSERT INTO t VALUES (1)"),
        ("CREATE TABLE t (n integer)", "ANALYZE t"),
        ("CREATE TABLE t (n integer)", "ALTER TABLE t ADD COLUMN x text; ALTER TABLE t DROP COLUMN x"),
        ("CREATE TABLE t (n integer)", "GRANT SELECT ON t TO PUBLIC; REVOKE SELECT ON t FROM PUBLIC"),
        ("CREATE TABLE t (n integer)", "GRANT ALL ON t TO CURRENT_USER"),
        ("CREATE TABLE t (n integer) WITH (fillfactor = 70, autovacuum_enabled = off)",
         "ALTER TABLE t RESET (fillfactor); ALTER TABLE t SET (fillfactor = 70)"),
        ("CREATE FUNCTION f() RETURNS integer LANGUAGE sql RETURN 1",
         "REVOKE ALL ON FUNCTION f FROM PUBLIC; GRANT EXECUTE ON FUNCTION f TO PUBLIC"),
    ],
)  # fmt: skip
def test_what_is_no_change_of_the_schema_is_not_seen(owner: psycopg.Connection[Any], made: str, then: str) -> None:
    owner.execute(made)
    before = read_catalog(owner)
    for statement in then.split("; "):
        owner.execute(statement)

    assert before.differences(read_catalog(owner)) == []


def test_databases_of_other_names_and_owners_are_equal_when_their_objects_are(
    server: PostgresServer, database: DatabaseURL
) -> None:
    other = server.create_database()
    with psycopg.connect(server.superuser.reveal(), autocommit=True) as superuser:
        superuser.execute("DROP ROLE IF EXISTS someone_else")
        superuser.execute("CREATE ROLE someone_else LOGIN PASSWORD 'else'")
        statement = sql.SQL("ALTER DATABASE {} OWNER TO someone_else")
        superuser.execute(statement.format(sql.Identifier(other.database or "")))
    catalogs = []
    for url in (database, other.copy_with(user="someone_else", password="else")):
        with psycopg.connect(url.reveal(), autocommit=True) as connection:
            connection.execute("CREATE TABLE t (id integer PRIMARY KEY)")
            connection.execute("GRANT SELECT ON t TO PUBLIC")
            catalogs.append(read_catalog(connection))
    server.drop_database(other)

    assert catalogs[0] == catalogs[1]


def test_the_history_of_migration_tools_is_left_out(owner: psycopg.Connection[Any]) -> None:
    before = read_catalog(owner)
    owner.execute("CREATE SCHEMA migration_history")
    owner.execute("CREATE TABLE migration_history._yoyo_log (id text PRIMARY KEY)")
    for table in ("_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock", "_prisma_migrations"):
        owner.execute(f"CREATE TABLE public.{table} (id serial PRIMARY KEY, note text)")
        owner.execute(f"COMMENT ON COLUMN public.{table}.note IS 'a note'")
        owner.execute(f"GRANT SELECT ON public.{table} TO PUBLIC")

    assert before.differences(read_catalog(owner)) == []


def test_a_schema_or_a_table_can_be_left_out_by_name(owner: psycopg.Connection[Any]) -> None:
    before = read_catalog(owner)
    owner.execute("CREATE SCHEMA scratch CREATE TABLE t (n integer)")
    owner.execute("CREATE TABLE public.notes (n integer)")

    after = read_catalog(owner, ignore_schemas=["scratch"], ignore_tables=["notes"])

    assert before.differences(after) == []


def test_what_neon_brings_along_is_left_out(server: PostgresServer, database: DatabaseURL) -> None:
    with psycopg.connect(
        server.as_superuser(database).reveal()
    ) as superuser:  # rolled back: roles belong to the server
        before = read_catalog(superuser)
        superuser.execute("CREATE ROLE neon_superuser")
        superuser.execute("CREATE ROLE cloud_admin")
        superuser.execute("CREATE ROLE web_access")
        superuser.execute("CREATE SCHEMA neon")
        superuser.execute("GRANT CREATE ON SCHEMA public TO web_access")
        superuser.execute("ALTER SCHEMA public OWNER TO cloud_admin")
        superuser.execute(
            "ALTER DEFAULT PRIVILEGES FOR ROLE cloud_admin IN SCHEMA public GRANT ALL ON TABLES TO neon_superuser"
        )

        differences = before.differences(read_catalog(superuser))
        superuser.rollback()

    assert differences == []


def test_a_catalog_is_read_in_one_round_trip(migrated: DatabaseURL) -> None:
    with CountingProxy(migrated.host, migrated.port or 5432) as proxy:
        through = migrated.copy_with(host="127.0.0.1", port=proxy.port)
        with psycopg.connect(through.reveal(), autocommit=True) as connection:
            before = proxy.waits
            catalog = read_catalog(connection)
            waits = proxy.waits - before

    assert waits == 1
    assert 'public."Message"' in catalog.of_kind("table")


def test_reading_leaves_the_session_as_it_was(owner: psycopg.Connection[Any]) -> None:
    owner.execute("CREATE SCHEMA extra")
    owner.execute("SET search_path = extra, public")
    with owner.transaction():
        read_catalog(owner)
        inside = owner.execute("SHOW search_path").fetchone()
    read_catalog(owner)
    outside = owner.execute("SHOW search_path").fetchone()

    assert inside == outside == ("extra, public",)


def test_reading_needs_no_right_and_works_in_a_read_only_transaction(
    server: PostgresServer, migrated: DatabaseURL
) -> None:
    with psycopg.connect(migrated.reveal(), autocommit=True) as owner:
        seen_by_owner = read_catalog(owner)
    with psycopg.connect(server.as_superuser(migrated).reveal(), autocommit=True) as connection:
        connection.execute("SET SESSION AUTHORIZATION ai_service")
        connection.execute("SET default_transaction_read_only = on")
        seen_by_service = read_catalog(connection)

    assert seen_by_owner == seen_by_service


def test_names_that_need_quotes_are_told_apart(owner: psycopg.Connection[Any]) -> None:
    owner.execute('CREATE TABLE "a.b" (n integer)')
    owner.execute("CREATE SCHEMA a CREATE TABLE b (n integer)")
    owner.execute('CREATE TABLE "select" ("it\'s 100%" integer DEFAULT 1)')

    catalog = read_catalog(owner)

    assert catalog.of_kind("table") == {'public."a.b"': "", "a.b": "", 'public."select"': ""}
    assert catalog.of_kind("column")['public."select"."it\'s 100%"'] == "integer DEFAULT 1"


def test_a_missing_table_is_told_once_and_a_changed_one_in_detail() -> None:
    table = SchemaObject("table", "public.t", "")
    column = SchemaObject("column", "public.t.n", "integer", "public.t")
    wider = SchemaObject("column", "public.t.n", "bigint", "public.t")

    assert Catalog((column, table)).differences(Catalog(())) == [Difference("table", "public.t", "", None)]
    assert Catalog(()).differences(Catalog((column, table))) == [Difference("table", "public.t", None, "")]
    assert Catalog((column, table)).differences(Catalog((wider, table))) == [
        Difference("column", "public.t.n", "integer", "bigint")
    ]
    assert Catalog((column, table)).differences(Catalog((wider, table)), without=["column"]) == []


@pytest.mark.parametrize(
    ("difference", "line"),
    [
        (Difference("column", "public.t.n", "integer", None), 'column public.t.n: "integer" here, absent there'),
        (Difference("table", "public.t", None, ""), "table public.t: absent here, present there"),
    ],
)
def test_a_difference_reads_as_a_line(difference: Difference, line: str) -> None:
    assert str(difference) == line
