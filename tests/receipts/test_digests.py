"""Two digests name the state of a database: what they see, and what is nothing to them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.deploy import apply, inspect_server
from pipeline.postgres.connect import open_session
from pipeline.receipts.digests import Digests, SchemaDigests, history_digest, read_digests, take
from tests.schema.test_catalog_changes import BASE, CHANGES, Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from pipeline.postgres.session import Session
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database
    from tests.support.server import PostgresServer

# Constants and bounds that the server prints by its settings, and names that it prints by the search_path.
BY_SETTINGS = """
CREATE SCHEMA other;
CREATE TABLE other.t (
    at timestamptz DEFAULT '2026-03-01 12:00+00', d date DEFAULT '2026-03-01', took interval DEFAULT '1 day 2:03',
    ratio float8 DEFAULT 0.1::float8 / 3, data bytea DEFAULT '\\xc3a4', price money DEFAULT 1234.5::money,
    name text DEFAULT E'a\\\\b', "Select" int CHECK ("Select" > 0)
);
CREATE TABLE other.log (at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE other.log_1 PARTITION OF other.log FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-02-01 00:00+00');
CREATE VIEW other.v AS SELECT * FROM other.t WHERE at > '2026-01-01 00:00+00';
"""
SETTINGS = {
    "search_path": "other, public",
    "TimeZone": "Asia/Tokyo",
    "DateStyle": "German, DMY",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "-5",
    "bytea_output": "escape",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
    "enable_nestloop": "on",
    "row_security": "off",
    "client_encoding": "LATIN1",
}


@pytest.fixture(scope="module")
def base(server: PostgresServer) -> Iterator[DatabaseURL]:
    made = server.create_database()
    with psycopg.connect(made.reveal(), autocommit=True) as connection:
        connection.execute(BASE + BY_SETTINGS)
    yield made
    server.drop_database(made)


@contextmanager
def _session(url: DatabaseURL) -> Iterator[Session]:
    with open_session(url, application_name="test") as session:
        yield session


def _schema(session: Session) -> str:
    return read_digests(session, has_history=False).schema


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.sql[:60])
def test_what_a_comparison_sees_the_digest_sees(base: DatabaseURL, change: Change) -> None:
    with _session(base) as session:
        before = _schema(session)
        session.run(f"BEGIN;{change.sql}")
        assert _schema(session) != before
        session.run("ROLLBACK")
        assert _schema(session) == before


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_of_the_session_changes_nothing_and_is_kept(base: DatabaseURL, setting: str) -> None:
    with _session(base) as session:
        before = _schema(session)
        session.run(f"SELECT set_config('{setting}', '{SETTINGS[setting]}', false)")
        told = session.run(f"SHOW {setting}")[0].rows
        assert _schema(session) == before
        assert session.run(f"SHOW {setting}")[0].rows == told


def test_within_a_transaction_it_leaves_no_lock_and_no_setting(base: DatabaseURL) -> None:
    locks = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation >= 16384"
    with _session(base) as session:
        session.run(f"BEGIN;{take(has_history=False)}")
        assert session.run(locks)[0].rows == (("0",),)
        assert session.run("SHOW search_path;SHOW jit")[0].rows != (("",),)
        session.run("ROLLBACK")
        assert session.run("SELECT current_setting('pipeline.schema_digest', true)")[0].rows in {(("",),), ((None,),)}


def test_a_copy_has_the_same_digest_and_another_database_another(server: PostgresServer, base: DatabaseURL) -> None:
    copy, empty = server.create_database(base), server.create_database()
    try:
        with _session(base) as first, _session(copy) as second, _session(empty) as third:
            assert _schema(first) == _schema(second) != _schema(third)
    finally:
        server.drop_database(copy)
        server.drop_database(empty)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO parent SELECT generate_series(1, 500)",
        "SELECT nextval('ticket')",
        "ANALYZE",
        "CREATE TEMP TABLE mine (id int)",
        "VACUUM FULL parent",
        "REINDEX TABLE t",
        "REFRESH MATERIALIZED VIEW m",
        "CREATE TABLE public._yoyo_migration (migration_hash text)",
    ],
)
def test_what_is_no_schema_changes_nothing(base: DatabaseURL, sql: str) -> None:
    with _session(base) as session:
        before = _schema(session)
        session.run(sql)
        assert _schema(session) == before


def test_a_deploy_with_nothing_pending_changes_neither(migrated_sample: Database, sample: FolderBuilder) -> None:
    with _session(migrated_sample.url) as session:
        before = read_digests(session)
        apply(migrated_sample.url, sample.read())
        assert read_digests(session) == before


def test_the_server_and_we_agree_on_the_digest_of_a_history(migrated_sample: Database) -> None:
    def ours() -> str:
        return history_digest(inspect_server(migrated_sample.url).history.applied.values())

    found = []
    with _session(migrated_sample.url) as session:
        for sql in (
            "SELECT 1",
            "UPDATE migration_history._yoyo_log SET comment = 'by hand' WHERE migration_id = '0003_pets'",
            "UPDATE migration_history._yoyo_log SET comment = NULL WHERE migration_id = '0002_some_people'",
            "UPDATE migration_history._yoyo_migration SET migration_id = '0003_Ünïcode' WHERE migration_id = '0003_pets'",
            "DELETE FROM migration_history._yoyo_log WHERE migration_id = '0001_people'",
            "DELETE FROM migration_history._yoyo_migration WHERE migration_id = '0005_pet_name'",
            "DELETE FROM migration_history._yoyo_migration",
        ):
            session.run(sql)
            found.append(read_digests(session).history)
            assert found[-1] == ours()
    assert len(set(found)) == len(found)
    assert found[-1] == history_digest([])


def test_taken_again_and_again_it_is_the_same(base: DatabaseURL) -> None:
    with _session(base) as session, _session(base) as aside:
        digests = SchemaDigests(aside)
        found = []
        for sql in ("SELECT 1", "CREATE TABLE more (at timestamptz DEFAULT '2026-01-01 00:00+00')", "DROP TABLE more"):
            session.run(sql)
            found.append(digests.take())
            assert found[-1] == _schema(session)
    assert found[0] == found[2] != found[1]


def test_without_a_history_it_is_that_of_an_empty_one(db: Database) -> None:
    with _session(db.url) as session:
        assert read_digests(session, has_history=False).history == history_digest([])
        assert isinstance(read_digests(session, has_history=False), Digests)
