"""`services`: the runtime roles with LOGIN and passwords, as a deploy with stack outputs makes them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer

ROLES = ("server", "ai_service")


@dataclass(frozen=True)
class Services:
    """The passwords of the runtime roles."""

    passwords: Mapping[str, str]

    def url(self, role: str, database: DatabaseURL) -> DatabaseURL:
        """The database as this role connects to it."""
        return database.copy_with(user=role, password=self.passwords[role])


@pytest.fixture(scope="session")
def services(server: PostgresServer, migrated_template: DatabaseURL) -> Services:
    del migrated_template  # a migration makes the roles, which belong to the whole server
    passwords = {role: secrets.token_urlsafe(12) + "@:/?#%+ é" for role in ROLES}
    with psycopg.connect(server.superuser.reveal(), autocommit=True) as connection:
        for role, password in passwords.items():
            statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(role), sql.Literal(password)))
    return Services(passwords)
