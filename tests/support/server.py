"""`server`: a real PostgreSQL of production's version for the session, in Docker where an engine answers, else embedded.

Which one is an option, `--server=docker|embedded|auto`, or the variable TEST_SERVER. Under pytest-xdist each
worker has a server of its own, since roles belong to the whole server. Its data is in memory where that can be: a test
makes several databases of three hundred files each, and file systems on disk take most of the time for that.

A test that stops its server takes `restartable_server`.
"""

from __future__ import annotations

import itertools
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

import psycopg
import pytest
from psycopg import sql

from services import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL

KINDS = ("auto", "docker", "embedded")

FAST = {
    # It need not survive the machine. synchronous_commit stays on: a killed server keeps every commit.
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "max_wal_size": "512MB",  # it is kept in memory
    # A client computes as many hashes at each connection: by default two milliseconds of them, a third of connecting.
    "scram_iterations": "1",
}


class PostgresServer(ABC):
    """A server with a superuser `postgres` and an owner the product's owner that is shaped like Neon's."""

    kind: Literal["docker", "embedded"]
    superuser: DatabaseURL
    """To the database `postgres`."""
    owner: DatabaseURL
    """To the product's database, which no test changes."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._kept: psycopg.Connection | None = None

    @abstractmethod
    def remove(self) -> None:
        """Stops it and leaves nothing behind."""

    def create_database(self, template: DatabaseURL | str | None = None) -> DatabaseURL:
        """A new database that the owner owns: empty, or a copy of `template` with its grants and settings."""
        source = template if isinstance(template, str) or template is None else template.database
        name = f"test_{next(self._numbers)}"
        # copying files takes half the time of logging them; nothing here waits for the disk
        statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY file_copy")
        self._run(statement.format(*map(sql.Identifier, (name, OWNER, source or "template0"))))
        if source:
            for statement in _WHAT_BELONGS_TO_THE_DATABASE:
                self._run(statement.format(sql.Literal(source), sql.Literal(name)))
        return self.owner.copy_with(database=name)

    def drop_database(self, database: DatabaseURL) -> None:
        """Drops it, whoever is connected."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._run(statement.format(sql.Identifier(database.database or "")))

    def _run(self, statement: sql.Composed) -> None:
        """Run it as the superuser, over a connection that is kept: making one takes as long as making a database."""
        if self._kept is not None and not self._kept.closed:
            try:
                self._kept.execute(statement)
            except psycopg.OperationalError:
                if not self._kept.closed:
                    raise
            else:
                return
        # the first time, or the server, which a test may restart or crash, has ended it
        self._kept = psycopg.connect(self.superuser.reveal(), autocommit=True)
        self._kept.execute(statement)

    def _let_go(self) -> None:
        """Close what is kept: before the server stops."""
        if self._kept is not None:
            self._kept.close()

    def as_superuser(self, database: DatabaseURL) -> DatabaseURL:
        """The superuser's URL to the same database."""
        return self.superuser.copy_with(database=database.database)


class RestartableServer(PostgresServer):
    """One whose databases and roles are still there when it comes back."""

    @abstractmethod
    def start(self) -> None:
        """Starts it again at the same port, and waits until it accepts connections."""

    @abstractmethod
    def stop(self, *, crash: bool = False) -> None:
        """Stops it; with `crash`, without a chance to write anything or to say goodbye."""

    def restart(self, *, crash: bool = False) -> None:
        """Stops and starts it."""
        self.stop(crash=crash)
        self.start()


# CREATE DATABASE … TEMPLATE copies neither the grants on the database (0004 revokes TEMPORARY) nor its settings.
_WHAT_BELONGS_TO_THE_DATABASE = (
    sql.SQL("UPDATE pg_database SET datacl = (SELECT datacl FROM pg_database WHERE datname = {}) WHERE datname = {}"),
    sql.SQL(
        "INSERT INTO pg_db_role_setting SELECT target.oid, setrole, setconfig FROM pg_db_role_setting "
        "JOIN pg_database source ON source.oid = setdatabase AND source.datname = {} "
        "CROSS JOIN pg_database target WHERE target.datname = {}"
    ),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server",
        choices=KINDS,
        default=os.environ.get("TEST_SERVER", "auto"),
        help="where the tests' PostgreSQL runs: in Docker, embedded, or Docker when it can (auto)",
    )


def pytest_report_header(config: pytest.Config) -> str:
    return f"PostgreSQL: {_choose(config.getoption('--server'))} (--server={config.getoption('--server')})"


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Iterator[PostgresServer]:
    started = _start(_choose(pytestconfig.getoption("--server")))
    yield started
    started.remove()


@pytest.fixture(scope="session")
def restartable_server(server: PostgresServer) -> Iterator[RestartableServer]:
    """The session's server if it keeps its data, else another one that does."""
    if isinstance(server, RestartableServer):
        yield server
        return
    from tests.support import docker_server

    started = docker_server.start_restartable()
    yield started
    started.remove()


def _choose(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    from tests.support import docker_server

    return "docker" if docker_server.is_possible() else "embedded"


def _start(kind: str) -> PostgresServer:
    if kind == "docker":
        from tests.support import docker_server

        return docker_server.start()
    from tests.support import embedded_server

    return embedded_server.start()
