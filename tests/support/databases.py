"""`database` and `migrated`: a database for one test, dropped after it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.deploy.claim import Claim
from pipeline.deploy.target import Target
from pipeline.migrations import read_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer, RestartableServer

# As `./inv migrate` on a server of one's own leaves it: marked as local.
LOCAL = Target("local", local_only=True, claim=Claim("migrate", lambda _: True))

PRODUCT = Path(__file__).with_name("product")
"""A product of the tests' own, with a schema, services and stacks: no test of the pipeline reads the real one's."""

MIGRATIONS = PRODUCT / "migrations"


@pytest.fixture
def database(server: PostgresServer) -> Iterator[DatabaseURL]:
    """An empty database that the owner owns."""
    made = server.create_database()
    yield made
    server.drop_database(made)


@pytest.fixture
def database_that_lasts(restartable_server: RestartableServer) -> Iterator[DatabaseURL]:
    """An empty one on a server that may be stopped and started again."""
    made = restartable_server.create_database()
    yield made
    restartable_server.drop_database(made)


@pytest.fixture(scope="session")
def migrated_template(server: PostgresServer) -> DatabaseURL:
    """A database with every migration applied, to be copied. Nobody may stay connected to it."""
    made = server.create_database()
    apply(made, read_folder(MIGRATIONS), target=LOCAL)
    return made


@pytest.fixture
def migrated(server: PostgresServer, migrated_template: DatabaseURL) -> Iterator[DatabaseURL]:
    """A database with every migration applied."""
    made = server.create_database(migrated_template)
    yield made
    server.drop_database(made)
