"""What the fixtures promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from dbclient.url import DatabaseURL
from servers.version import wanted_major
from services import DATABASE
from tests.support import docker_server

if TYPE_CHECKING:
    from tests.support.server import PostgresServer, RestartableServer

START_AND_DIE = """
import os, signal, sys
from tests.support.server import _start
print(_start(sys.argv[1]).owner.reveal(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
START_ANOTHER = "import sys; from tests.support.server import _start; _start(sys.argv[1]).remove()"


def test_the_owner_is_shaped_like_neons(server: PostgresServer) -> None:
    with psycopg.connect(server.owner.reveal()) as connection:
        role = connection.execute(
            "SELECT rolcanlogin, rolcreaterole, rolcreatedb, rolsuper, current_database() "
            "FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert role == (True, True, True, False, DATABASE)


def test_the_server_is_version_16(server: PostgresServer) -> None:
    with psycopg.connect(server.superuser.reveal()) as connection:
        assert connection.info.server_version // 10000 == wanted_major()


def test_a_database_is_empty_and_the_owners(database: DatabaseURL) -> None:
    with psycopg.connect(database.reveal()) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
        connection.execute("CREATE TABLE mine ()")


def test_a_migrated_database_has_the_grants_that_templates_lose(migrated: DatabaseURL) -> None:
    with psycopg.connect(migrated.reveal()) as connection:
        may = "SELECT has_database_privilege('server', current_database(), %s)"
        assert connection.execute(may, ["TEMPORARY"]).fetchone() == (False,)
        assert connection.execute(may, ["CONNECT"]).fetchone() == (True,)
        assert connection.execute('SELECT count(*) FROM "Message"').fetchone() == (0,)


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "crashed"])
def test_what_was_committed_survives_a_restart_at_the_same_address(
    restartable_server: RestartableServer, database_that_lasts: DatabaseURL, *, crash: bool
) -> None:
    with psycopg.connect(database_that_lasts.reveal()) as connection:
        connection.execute("CREATE TABLE kept ()")
    restartable_server.restart(crash=crash)
    with psycopg.connect(database_that_lasts.reveal()) as connection:
        connection.execute("SELECT FROM kept")


@pytest.mark.parametrize("kind", ["docker", "embedded"])
def test_the_server_of_a_test_run_that_was_killed_is_removed_by_the_next_run(kind: str) -> None:
    if kind == "docker" and not docker_server.is_possible():
        pytest.skip(f"no Docker engine with {docker_server.IMAGE} on this machine")
    killed = _run(START_AND_DIE, kind)
    left = DatabaseURL.parse(killed.stdout.strip())
    psycopg.connect(left.reveal()).close()
    assert _run(START_ANOTHER, kind).returncode == 0
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(left.reveal(), connect_timeout=5)


def _run(code: str, kind: str) -> subprocess.CompletedProcess[str]:
    # Ryuk would be faster than the next run. Without it the next run has to do it alone.
    return subprocess.run(
        [sys.executable, "-c", code, kind],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TESTCONTAINERS_RYUK_DISABLED": "true"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
