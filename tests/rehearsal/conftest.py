"""`copies`: of a production that a module's tests share, and that none of them changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.rehearsal.production import Copies, fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer


@pytest.fixture(scope="session")
def production(server: PostgresServer) -> Iterator[DatabaseURL]:
    made = server.create_database()
    fill(made)
    yield made
    server.drop_database(made)


@pytest.fixture
def copies(server: PostgresServer, production: DatabaseURL, tmp_path: Path) -> Iterator[Copies]:
    made = Copies(server, production, tmp_path)
    yield made
    made.drop()
