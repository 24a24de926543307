"""A connection of the owner to an empty database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL


@pytest.fixture
def owner(database: DatabaseURL) -> Iterator[psycopg.Connection[Any]]:
    """the owner in an empty database; every statement commits."""
    with psycopg.connect(database.reveal(), autocommit=True) as connection:
        yield connection
