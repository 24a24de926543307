from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest

from emulator.certificates import Certificates
from emulator.front_door import FrontDoor
from servers import free_port
from tests.emulator.pooling import pooled
from tests.emulator.urls import branch_path, endpoint_path, project_path, uri
from tests.support.in_loop import in_loop
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

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


SSL_REQUEST = struct.pack("!ii", 8, 80877103)
GSS_REQUEST = struct.pack("!ii", 8, 80877104)


def address(url: str) -> tuple[str, int]:
    """The host and the port of a URL."""
    host, _, port = url.split("@")[1].split("/", maxsplit=1)[0].partition(":")
    return host, int(port)


def test_rubbish_at_the_door_harms_nobody_and_is_no_fault_of_the_emulators(emulator: Emulator, shared: Json) -> None:
    log = emulator.data / "emulator.log"
    before = log.stat().st_size
    for rubbish in (
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f\x16\x03\x01rubbish",
        b"\xff" * 64,
        struct.pack("!iii", 12, 80877102, 1),  # half a cancel key
        struct.pack("!iii", 12, 196608, 0),
        struct.pack("!ii", 1 << 30, 196608),
    ):
        with socket.create_connection(address(uri(shared)), timeout=10) as connection:
            connection.sendall(rubbish)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1000):
                pass

    with psycopg.connect(uri(shared)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert "Traceback" not in log.read_text()[before:]


@contextmanager
def encrypted(url: str) -> Iterator[ssl.SSLSocket]:
    """A connection of TLS on which nothing was said yet."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(address(url), timeout=10) as plain:
        plain.sendall(SSL_REQUEST)
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain) as connection:
            yield connection


@pytest.mark.parametrize("request_in_tls", [SSL_REQUEST, GSS_REQUEST], ids=["TLS in TLS", "GSSAPI in TLS"])
def test_encryption_is_agreed_on_once(shared: Json, request_in_tls: bytes) -> None:
    with encrypted(uri(shared)) as connection:
        connection.sendall(request_in_tls)
        assert b"unsupported frontend protocol" in connection.recv(1000)
        assert connection.recv(1) == b""


def test_gssapi_is_declined_once_and_tls_may_follow(shared: Json) -> None:
    with socket.create_connection(address(uri(shared)), timeout=10) as connection:
        connection.sendall(GSS_REQUEST)
        assert connection.recv(1) == b"N"
        connection.sendall(SSL_REQUEST)
        assert connection.recv(1) == b"S"
    with socket.create_connection(address(uri(shared)), timeout=10) as connection:
        connection.sendall(GSS_REQUEST)
        assert connection.recv(1) == b"N"
        connection.sendall(GSS_REQUEST)
        assert b"unsupported frontend protocol" in connection.recv(1000)


def test_what_was_sent_before_tls_is_not_taken_for_what_came_through_it(shared: Json) -> None:
    body = b"user\0somebody_else\0\0"
    with socket.create_connection(address(uri(shared)), timeout=10) as connection:
        connection.sendall(SSL_REQUEST + struct.pack("!ii", len(body) + 8, 196608) + body)
        assert b"received unencrypted data after SSL request" in connection.recv(1000)
        assert connection.recv(1) == b""


@pytest.mark.parametrize("mode", ["require", "disable"])
@pytest.mark.parametrize("door", ["direct", "pooled"])
def test_a_client_of_a_newer_protocol_comes_in_with_the_one_that_servers_speak(
    emulator: Emulator, shared: Json, door: str, mode: str
) -> None:
    if psycopg.pq.version() < 180000:
        pytest.skip("the libpq of this psycopg speaks no newer protocol: it needs 18")
    url = uri(shared) if door == "direct" else pooled(emulator, shared)
    binding = "require" if mode == "require" else "disable"
    with psycopg.connect(url, max_protocol_version="3.2", sslmode=mode, channel_binding=binding) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("app_owner",)


@pytest.mark.parametrize("door", ["direct", "pooled"])
def test_a_client_without_sni_names_its_endpoint_in_its_options(emulator: Emulator, shared: Json, door: str) -> None:
    url = uri(shared) if door == "direct" else pooled(emulator, shared)
    endpoint = f"endpoint={shared['endpoints'][0]['id']}"
    with psycopg.connect(url, options=endpoint) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    if door == "direct":
        with psycopg.connect(url, options=f"{endpoint} -c statement_timeout=7s") as connection:
            assert connection.execute("SHOW statement_timeout").fetchone() == ("7s",)


def test_a_full_server_says_so_in_its_own_words(project: Json) -> None:
    def connect(_: int) -> psycopg.Connection | str:
        try:
            return psycopg.connect(uri(project))
        except psycopg.OperationalError as refused:
            return str(refused)

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(connect, range(130)))
    refused = [item for item in found if isinstance(item, str)]
    for item in found:
        if not isinstance(item, str):
            item.close()

    assert refused
    assert [words for words in refused if "too many clients" not in words and "slots are reserved" not in words] == []
    assert [words for words in refused if "went away" in words] == []


def front_door(tmp_path: Path, wake: Callable[[], Awaitable[int]]) -> tuple[FrontDoor, int]:
    """A door of this process, and its port."""
    port = free_port()

    async def no_verifier(_: str) -> str | None:
        return None

    return FrontDoor(port, Certificates(tmp_path).issue("127.0.0.1"), wake, lambda: None, no_verifier), port


def test_a_client_that_says_nothing_is_not_waited_for_forever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.front_door._AUTHENTICATION_SECONDS", 0.05)

    async def wake() -> int:
        raise AssertionError("nobody asked for a session")

    async def say(words: bytes) -> bytes:
        door, port = front_door(tmp_path, wake)
        await door.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(words)
        answer = await reader.read()
        writer.close()
        await door.close()
        return answer

    assert in_loop(say(b"")) == b""
    assert in_loop(say(struct.pack("!ii", 100, 196608) + b"user")) == b""


def test_a_server_that_went_away_is_told_to_the_client(tmp_path: Path) -> None:
    async def wake() -> int:
        return free_port()  # where nobody listens

    async def ask() -> bytes:
        door, port = front_door(tmp_path, wake)
        await door.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b"user\0one\0\0"
        writer.write(struct.pack("!ii", len(body) + 8, 196608) + body)
        answer = await reader.read()
        writer.close()
        await door.close()
        return answer

    assert b"the compute went away" in in_loop(ask())
