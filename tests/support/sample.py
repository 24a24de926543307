"""A small history with everything in it that a deploy treats differently, and a database to look at from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.deploy import apply
from tests.support.deploy_process import Processes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from tests.support.folders import FolderBuilder
    from tests.support.server import PostgresServer

# Three files that run together, one index outside a transaction, one more file behind it.
SAMPLE = {
    "0001_people": 'CREATE TABLE "Person" (id int PRIMARY KEY, name text NOT NULL);',
    "0002_some_people": "INSERT INTO \"Person\" SELECT n, 'name ' || n FROM generate_series(1, 100) n;",
    "0003_pets": 'CREATE TABLE "Pet" (id int PRIMARY KEY, owner int REFERENCES "Person");',
    "0004_person_name": '-- transactional: false\nCREATE INDEX CONCURRENTLY "Person_name_idx" ON "Person" (name);',
    "0005_pet_name": 'ALTER TABLE "Pet" ADD COLUMN name text;',
}
SAMPLE_IDS = list(SAMPLE)


class Database:
    """A database under test: what a look at it from outside shows."""

    def __init__(self, url: DatabaseURL) -> None:
        self.url = url

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url.reveal(), autocommit=True)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with self.connect() as connection:
            return connection.execute(sql).fetchall()

    def value(self, sql: str) -> object:
        return self.rows(sql)[0][0]

    def run(self, sql: str) -> None:
        with self.connect() as connection:
            connection.execute(sql)

    def applied(self) -> list[str]:
        """The ids of the history, in the order of their application; empty without a history."""
        if self.value("SELECT to_regclass('migration_history._yoyo_migration')") is None:
            return []
        rows = self.rows(
            "SELECT migration_id FROM migration_history._yoyo_migration ORDER BY applied_at_utc, migration_id"
        )
        return [str(row[0]) for row in rows]

    def picture(self) -> dict[str, object]:
        """Everything of the sample's effect and its record that two equal runs have in common."""
        return {
            "history": self.applied(),
            "effective log": self.rows(
                "SELECT migration_id, operation, split_part(comment, ' ', 1), count(*) FROM migration_history._yoyo_log "
                "WHERE operation <> 'started' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
            ),
            "columns": self.rows(
                "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
                "WHERE table_schema = 'public' ORDER BY 1, 2"
            ),
            "indexes": self.rows(
                "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready "
                "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
                "WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1"
            ),
            "constraints": self.rows(
                "SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint "
                "WHERE connamespace = 'public'::regnamespace ORDER BY 1"
            ),
            "people": self.rows('SELECT count(*), sum(id) FROM "Person"')
            if self.value("SELECT to_regclass('\"Person\"')")
            else [],
        }


@pytest.fixture
def db(database: DatabaseURL) -> Database:
    return Database(database)


@pytest.fixture
def sample(folder: FolderBuilder) -> FolderBuilder:
    for id_, sql in SAMPLE.items():
        folder.write(id_, sql)
    return folder


@pytest.fixture
def migrated_sample(db: Database, sample: FolderBuilder) -> Database:
    apply(db.url, sample.read())
    return db


@pytest.fixture
def superuser(db: Database, server: PostgresServer) -> Database:
    """The same database, as the superuser of its server."""
    return Database(server.superuser.copy_with(database=db.url.database))


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Deploys in processes of their own, ended with the test."""
    with Processes() as running:
        yield running
