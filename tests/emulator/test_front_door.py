from __future__ import annotations

import asyncio
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest

from tests.emulator.urls import branch_path, endpoint_path, project_path, uri
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import Emulator

Json = dict[str, Any]


def state(emulator: Emulator, project: Json) -> str:
    found: str = emulator.ok("GET", endpoint_path(project))["endpoint"]["current_state"]
    return found


def test_a_direct_connection_is_shown_a_pid_that_is_not_its_own(shared: Json) -> None:
    with psycopg.connect(uri(shared)) as connection:
        found = connection.execute("SELECT pg_backend_pid()").fetchone()
        shown = connection.info.backend_pid

    assert found is not None
    assert found[0] != shown


def test_a_cancel_request_reaches_its_own_session_only(shared: Json) -> None:
    # both wait for a lock, so that only a cancellation, or its holder, ends their statements
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"
    with (
        psycopg.connect(uri(shared), autocommit=True) as holder,
        psycopg.connect(uri(shared)) as victim,
        psycopg.connect(uri(shared)) as bystander,
        ThreadPoolExecutor(2) as pool,
    ):
        holder.execute("SELECT pg_advisory_lock(1)")
        cancelled, other = (
            pool.submit(connection.execute, "SELECT pg_advisory_lock(1)") for connection in (victim, bystander)
        )
        until(lambda: holder.execute(waiting).fetchone() == (2,))
        victim.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            cancelled.result(30)
        assert holder.execute(waiting).fetchone() == (1,)
        holder.execute("SELECT pg_advisory_unlock(1)")
        other.result(30)


def test_both_tls_and_plain_text_open_the_door(emulator: Emulator, shared: Json) -> None:
    trusted = emulator.environment["SSL_CERT_FILE"]
    for mode in ("disable", "require", "verify-full"):
        with psycopg.connect(uri(shared), sslmode=mode, sslrootcert=trusted, channel_binding="prefer") as connection:
            assert connection.pgconn.ssl_in_use == (mode != "disable")


async def connect_with_asyncpg(url: str, context: ssl.SSLContext) -> object:
    connection = await asyncpg.connect(url.partition("?")[0], ssl=context)
    try:
        return await connection.fetchval("SELECT current_user")
    finally:
        await connection.close()


def test_asyncpg_comes_in_too(emulator: Emulator, shared: Json) -> None:
    context = ssl.create_default_context(cafile=emulator.environment["SSL_CERT_FILE"])

    assert asyncio.run(connect_with_asyncpg(uri(shared), context)) == "app_owner"


def test_a_large_result_arrives_whole(shared: Json) -> None:
    with psycopg.connect(uri(shared)) as connection:
        rows = connection.execute("SELECT g, repeat('x', 200) FROM generate_series(1, 100000) g").fetchall()

    assert (len(rows), rows[-1]) == (100_000, (100_000, "x" * 200))


def test_a_wrong_password_is_refused_by_the_server_itself(shared: Json) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(uri(shared), password="wrong")


def test_the_superuser_does_not_come_in_through_the_door(shared: Json) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(uri(shared), user="cloud_admin")


def test_a_connection_wakes_a_suspended_compute(emulator: Emulator, project: Json) -> None:
    emulator.ok("POST", f"{endpoint_path(project)}/suspend")
    assert state(emulator, project) == "idle"

    with psycopg.connect(uri(project)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert state(emulator, project) == "active"


def test_many_connections_at_once_wake_a_compute_once(emulator: Emulator, project: Json) -> None:
    emulator.ok("POST", f"{endpoint_path(project)}/suspend")

    def connect(_: int) -> object:
        with psycopg.connect(uri(project)) as connection:
            return connection.execute("SELECT pg_postmaster_start_time()").fetchone()

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(connect, range(16)))
    assert len(found) == 1


def test_suspension_ends_idle_connections(emulator: Emulator, project: Json) -> None:
    with psycopg.connect(uri(project)) as connection:
        emulator.ok("POST", f"{endpoint_path(project)}/suspend")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_a_suspension_keeps_tables_and_empties_unlogged_ones(emulator: Emulator, project: Json) -> None:
    with psycopg.connect(uri(project)) as connection:
        connection.execute("SET LOCAL synchronous_commit = off")
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000)")
        connection.execute("CREATE UNLOGGED TABLE lost AS SELECT generate_series(1, 1000)")
    emulator.ok("POST", f"{endpoint_path(project)}/suspend")

    with psycopg.connect(uri(project)) as connection:
        found = connection.execute("SELECT (SELECT count(*) FROM kept), (SELECT count(*) FROM lost)").fetchone()
    assert found == (1000, 0)


def test_an_unused_compute_is_suspended_and_a_busy_one_is_not(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator()
    project = emulator.create_project()
    with psycopg.connect(uri(project)) as connection:
        connection.execute("SELECT 1")  # leaves a transaction open
        emulator.advance(301)
        asked = emulator.ok("GET", f"{project_path(project)}/operations")["operations"]
        time.sleep(0.6)  # two rounds of housekeeping: that nothing happens has no event to wait for
        assert connection.execute("SELECT 2").fetchone() == (2,)
        assert emulator.ok("GET", f"{project_path(project)}/operations")["operations"] == asked
    emulator.advance(301)

    until(lambda: state(emulator, project) == "idle")


def test_a_compute_that_must_never_sleep_does_not(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator()
    project = emulator.create_project(default_endpoint_settings={"suspend_timeout_seconds": -1})
    other = emulator.create_project()
    emulator.advance(86_400)

    until(lambda: state(emulator, other) == "idle")
    assert state(emulator, project) == "active"


def test_a_disabled_compute_takes_no_connections(emulator: Emulator, project: Json) -> None:
    emulator.ok("PATCH", endpoint_path(project), json={"endpoint": {"disabled": True}})
    with pytest.raises(psycopg.OperationalError, match="disabled"):
        psycopg.connect(uri(project))

    emulator.ok("PATCH", endpoint_path(project), json={"endpoint": {"disabled": False}})
    with psycopg.connect(uri(project)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_settings_of_an_endpoint_reach_its_server(emulator: Emulator, project: Json) -> None:
    settings = {"pg_settings": {"work_mem": "7MB"}}
    emulator.ok("PATCH", endpoint_path(project), json={"endpoint": {"settings": settings}})

    with psycopg.connect(uri(project)) as connection:
        assert connection.execute("SHOW work_mem").fetchone() == ("7MB",)


def test_an_endpoint_moves_to_another_branch(emulator: Emulator, project: Json) -> None:
    dev = emulator.ok("POST", f"{project_path(project)}/branches", json={"branch": {"name": "dev"}})
    emulator.ok("PATCH", endpoint_path(project), json={"endpoint": {"branch_id": dev["branch"]["id"]}})

    with psycopg.connect(uri(project)) as connection:
        found = connection.execute("SELECT current_setting('neon.branch_id')").fetchone()
    assert found == (dev["branch"]["id"],)
    assert emulator.ok("GET", f"{branch_path(project)}/endpoints")["endpoints"] == []


def test_making_a_role_drops_the_connections(emulator: Emulator, project: Json) -> None:
    with psycopg.connect(uri(project)) as connection:
        emulator.ok("POST", f"{branch_path(project)}/roles", json={"role": {"name": "reader"}})
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_a_second_compute_on_a_branch_is_refused(emulator: Emulator, shared: Json) -> None:
    body = {"endpoint": {"branch_id": shared["branch"]["id"], "type": "read_write"}}
    answer = emulator.api.post(f"{project_path(shared)}/endpoints", json=body)

    assert answer.status_code == 409
    assert "read-write endpoint already exists" in answer.json()["message"]


def test_a_deleted_endpoint_is_gone_and_its_branch_stays(emulator: Emulator, project: Json) -> None:
    emulator.ok("DELETE", endpoint_path(project))

    assert emulator.api.get(endpoint_path(project)).status_code == 404
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(uri(project))
    assert emulator.api.get(branch_path(project)).status_code == 200


def test_rubbish_at_the_door_harms_nobody(shared: Json) -> None:
    host, _, port = uri(shared).split("@")[1].split("/")[0].partition(":")
    for rubbish in (
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f\x16\x03\x01rubbish",
        b"\xff" * 64,
    ):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(rubbish)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1000):
                pass

    with psycopg.connect(uri(shared)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
