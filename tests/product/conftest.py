"""The tests of the product itself: its own migrations are what `migrated` has here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.migrations import read_folder
from tests.support.databases import LOCAL

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer


@pytest.fixture(scope="session")
def migrated_template(server: PostgresServer) -> DatabaseURL:
    """A database with every migration of the product applied, to be copied. Nobody may stay connected to it."""
    made = server.create_database()
    apply(made, read_folder(Path(__file__).parents[2] / "migrations"), target=LOCAL)
    return made
