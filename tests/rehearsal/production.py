"""A production of some 100,000 messages under every migration of the repository, and copies of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from pipeline.deploy import apply
from pipeline.migrations import read_folder
from pipeline.rehearsal.measuring import Listener, measure
from pipeline.schema.fingerprint import Fingerprints
from tests.support.databases import MIGRATIONS

if TYPE_CHECKING:
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.migrations import Folder
    from pipeline.rehearsal.values import Measured, StatementMeasurement
    from tests.support.server import PostgresServer

MESSAGES = 100_000
THREADS = 10_000
CANARY = "canary-7f3a"  # in every row: nothing that is returned may have it

ROWS = f"""
INSERT INTO "User" (id, name, email) SELECT 'u' || n, '{CANARY} ' || n, n || '@{CANARY}.example' FROM generate_series(1, 1000) n;
INSERT INTO "Thread" (id, "userId", model)
SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'u' || (n % 1000 + 1), '{CANARY}' || n % 10
  FROM generate_series(1, {THREADS}) n;
INSERT INTO "Message" ("threadId", role, content, name)
SELECT ('00000000-0000-4000-8000-' || lpad((n % {THREADS} + 1)::text, 12, '0'))::uuid, 'human', '{CANARY} ' || n,
       CASE WHEN n % 1000 = 0 THEN NULL WHEN n % 100 = 1 THEN '{CANARY}' ELSE n::text END
  FROM generate_series(1, {MESSAGES}) n;
ANALYZE "User", "Thread", "Message";
"""


@dataclass
class Copies:
    """Makes copies of a production, and folders whose last files are pending on it."""

    server: PostgresServer
    production: DatabaseURL
    path: Path
    made: list[DatabaseURL] = field(default_factory=list)

    def copy(self) -> DatabaseURL:
        self.made.append(self.server.create_database(self.production))
        return self.made[-1]

    def drop(self) -> None:
        for database in self.made:
            self.server.drop_database(database)

    def folder(self, *files: str) -> Folder:
        """The repository's migrations, and these behind them: 0900_pending, 0901_pending …"""
        path = self.path / f"migrations{len(list(self.path.iterdir()))}"
        shutil.copytree(MIGRATIONS, path)
        for number, text in enumerate(files, start=900):
            (path / f"{number:04}_pending.sql").write_text(text)
        return read_folder(path)

    def measure(self, *files: str, listener: Listener | None = None) -> Measured:
        return measure(self.copy(), self.folder(*files), listener=listener)


def fill(database: DatabaseURL) -> None:
    apply(database, read_folder(MIGRATIONS))
    with psycopg.connect(database.reveal(), autocommit=True) as connection:
        connection.execute(ROWS)


def fingerprint(database: DatabaseURL) -> str:
    with psycopg.connect(database.reveal(), autocommit=True) as connection, connection.transaction():
        return Fingerprints(connection).take()


def rows(database: DatabaseURL, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.reveal(), autocommit=True) as connection:
        return connection.execute(sql).fetchall()


class Onlooker(Listener):
    """Looks at the locks of the measured backend from a session of its own, while its transaction is open."""

    def __init__(self, database: DatabaseURL) -> None:
        self.database = database
        self.seen: list[tuple[StatementMeasurement, set[tuple[str, str]]]] = []
        self.told: list[str] = []

    def notice(self, text: str) -> None:
        self.told.append(text)

    def note(self, text: str) -> None:
        self.told.append(text)

    def measured(self, migration: str, statement: StatementMeasurement, pid: int) -> None:
        assert migration.endswith("_pending")
        locks = rows(
            self.database,
            "SELECT format('%I.%I', c.relnamespace::regnamespace, c.relname), l.mode FROM pg_locks l "
            "JOIN pg_class c ON c.oid = l.relation WHERE l.locktype = 'relation' AND c.relnamespace = 'public'::regnamespace "
            "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            f"AND l.pid = {pid} AND l.granted",
        )
        self.seen.append((statement, {(str(name).replace('"public"', "public"), str(mode)) for name, mode in locks}))
