"""The migration that makes the roles, where something is in its way: other databases, other makers, other powers."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from pipeline.deploy import apply
from pipeline.migrations import read_folder
from services import OWNER
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer

MIGRATIONS = Path(__file__).parents[3] / "migrations"
FILE = MIGRATIONS / "0004_runtime_roles.sql"


@pytest.fixture
def superuser(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(server.superuser.reveal(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def renamed(superuser: psycopg.Connection[Any]) -> Iterator[str]:
    """The migration with roles of its own names, since those of the server are in use by other databases."""
    text = FILE.read_text().replace("ai_service", "spare_ai_service").replace("server", "spare_server")
    yield text
    for role in ("spare_server", "spare_ai_service"):
        superuser.execute(f"DROP ROLE IF EXISTS {role}")


@pytest.fixture
def before(database: DatabaseURL) -> DatabaseURL:
    """A database with every migration before the one that makes the roles."""
    with psycopg.connect(database.reveal()) as connection:
        for file in read_folder(MIGRATIONS).files[:3]:
            connection.execute(file.data)
    return database


def _run(url: DatabaseURL, text: str) -> list[str]:
    """Run it as the runner does, inside EXECUTE; the warnings that it gave."""
    warnings: list[str] = []
    with psycopg.connect(url.reveal()) as connection:
        connection.add_notice_handler(lambda notice: warnings.append(notice.message_primary or ""))
        connection.execute(sql.SQL("DO $do$ BEGIN EXECUTE {}; END $do$").format(sql.Literal(text)))
    return warnings


def _drop_grants(url: DatabaseURL) -> None:
    """So that the roles of a test can be dropped while its database still stands."""
    with psycopg.connect(url.reveal()) as connection:
        connection.execute("""
            REVOKE ALL ON ALL TABLES IN SCHEMA public FROM spare_server, spare_ai_service;
            REVOKE ALL ON SCHEMA public FROM spare_server, spare_ai_service;
        """)
        name = sql.Identifier(url.database or "")
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM spare_server, spare_ai_service").format(name))


def test_roles_that_another_database_has_made_count_as_done(server: PostgresServer, before: DatabaseURL) -> None:
    other = server.create_database()
    apply(other, read_folder(MIGRATIONS))

    assert _run(before, FILE.read_text()) == []
    server.drop_database(other)


def test_databases_may_make_the_roles_at_the_same_time(
    server: PostgresServer, superuser: psycopg.Connection[Any], renamed: str
) -> None:
    databases = [server.create_database() for _ in range(6)]
    files = read_folder(MIGRATIONS).files[:3]
    for url in databases:
        with psycopg.connect(url.reveal()) as connection:
            for file in files:
                connection.execute(file.data)
    ready = threading.Barrier(len(databases))
    outcomes: list[object] = []

    def make(url: DatabaseURL) -> None:
        ready.wait()
        try:
            outcomes.append(_run(url, renamed))
        except psycopg.Error as error:
            outcomes.append(error)

    threads = [threading.Thread(target=make, args=(url,)) for url in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pinned = superuser.execute(
        "SELECT rolconfig FROM pg_roles WHERE rolname IN ('spare_server', 'spare_ai_service')"
    ).fetchall()
    for url in databases:
        server.drop_database(url)

    assert outcomes == [[]] * len(databases)
    assert pinned == [(["TimeZone=UTC"],)] * 2


@pytest.mark.parametrize("first", ["", "ALTER ROLE spare_server SET statement_timeout = '5s'"])
def test_a_role_that_another_database_is_pinning_at_this_moment_counts_as_pinned(
    before: DatabaseURL, superuser: psycopg.Connection[Any], renamed: str, first: str
) -> None:
    """The second writer of the same setting fails: as a duplicate, or, where a row is, as updated twice at once."""
    with psycopg.connect(before.reveal(), autocommit=True) as owner:
        owner.execute("CREATE ROLE spare_server")
        if first:
            owner.execute(first)
    outcome: list[list[str]] = []
    with psycopg.connect(before.reveal()) as other:
        other.execute("ALTER ROLE spare_server SET TimeZone = 'UTC'")
        thread = threading.Thread(target=lambda: outcome.append(_run(before, renamed)))
        thread.start()
        until(lambda: _is_waiting(superuser, other.info.backend_pid))
        other.commit()
    thread.join()
    _drop_grants(before)

    assert outcome == [[]]


def _is_waiting(superuser: psycopg.Connection[Any], holder: int) -> bool:
    row = superuser.execute("SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", [holder])
    return row.fetchone() == (1,)


def test_a_role_of_another_maker_is_used_with_a_warning_that_it_is_not_pinned_to_utc(
    before: DatabaseURL, superuser: psycopg.Connection[Any], renamed: str
) -> None:
    superuser.execute("CREATE ROLE spare_server")

    warnings = _run(before, renamed)
    _drop_grants(before)

    assert warnings == [f"role spare_server is not pinned to UTC: {OWNER} may not alter it"]


def test_a_role_of_another_maker_that_is_pinned_already_gives_no_warning(
    before: DatabaseURL, superuser: psycopg.Connection[Any], renamed: str
) -> None:
    superuser.execute("CREATE ROLE spare_server")
    superuser.execute("ALTER ROLE spare_server SET timezone = 'UTC'")

    warnings = _run(before, renamed)
    _drop_grants(before)

    assert warnings == []


@pytest.mark.parametrize(
    "power", ["SUPERUSER", "CREATEDB", "CREATEROLE", "BYPASSRLS", "REPLICATION", "IN ROLE powerful"]
)
def test_a_role_with_powers_of_its_own_is_refused(
    before: DatabaseURL, superuser: psycopg.Connection[Any], renamed: str, power: str
) -> None:
    superuser.execute("CREATE ROLE powerful CREATEDB CREATEROLE BYPASSRLS")
    superuser.execute(f"CREATE ROLE spare_server {power}")
    try:
        with pytest.raises(psycopg.errors.RaiseException, match="spare_server exists and may do more than a service"):
            _run(before, renamed)
    finally:
        superuser.execute("DROP ROLE spare_server")
        superuser.execute("DROP ROLE powerful")
