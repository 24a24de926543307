"""A client that binds its password to the channel meets the same rules as one that the server itself answers."""

from __future__ import annotations

import base64
import socket
import ssl
import struct
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.emulator.pooling import needs_pgbouncer, pooled
from tests.emulator.urls import uri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import Emulator

Json = dict[str, Any]
ROLES = """
    CREATE ROLE may_not_log_in NOLOGIN PASSWORD 'only-of-this-test';
    CREATE ROLE expired LOGIN PASSWORD 'only-of-this-test' VALID UNTIL '2020-01-01';
    CREATE ROLE full LOGIN PASSWORD 'only-of-this-test' CONNECTION LIMIT 0;
    CREATE ROLE without_password LOGIN;
    CREATE ROLE welcome LOGIN PASSWORD 'only-of-this-test';
"""


@pytest.fixture(scope="module")
def roles(shared: Json) -> Iterator[str]:
    """The URL of a branch whose roles may not come in, each for a reason of its own."""
    with psycopg.connect(uri(shared), autocommit=True) as connection:
        connection.execute(ROLES)
        yield uri(shared)
        for role in ("may_not_log_in", "expired", "full", "without_password", "welcome"):
            connection.execute(f"DROP ROLE {role}")


def refusal(url: str, **options: Any) -> str:
    """What a connection that must fail is told, without the address."""
    with pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect(url, **options)
    return str(refused.value).partition("FATAL:")[2] or str(refused.value)


@pytest.mark.parametrize(
    "door", ["direct", pytest.param("pooled", marks=needs_pgbouncer)], ids=["directly", "through the pooler"]
)
def test_a_string_of_the_emulator_asks_for_channel_binding_and_opens_the_door(
    emulator: Emulator, shared: Json, door: str
) -> None:
    url = uri(shared) if door == "direct" else pooled(emulator, shared)
    assert url.endswith("?sslmode=require&channel_binding=require")

    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("app_owner",)
    asked = subprocess.run(["psql", url, "-AtXc", "SELECT 1"], capture_output=True, text=True, check=True)
    assert asked.stdout == "1\n"


@pytest.mark.parametrize(
    ("role", "password", "words"),
    [
        ("welcome", "wrong", "password authentication failed"),
        ("nobody_of_that_name", "wrong", "password authentication failed"),
        ("without_password", "wrong", "password authentication failed"),
        ("cloud_admin", "wrong", "password authentication failed"),
        ("expired", "only-of-this-test", "password authentication failed"),
        ("may_not_log_in", "only-of-this-test", "not permitted to log in"),
        ("full", "only-of-this-test", "too many connections for role"),
        ("x" * 70, "wrong", "password authentication failed"),
    ],
)
def test_who_may_not_come_in_is_told_what_the_server_tells_without_a_channel(
    roles: str, role: str, password: str, words: str
) -> None:
    unbound = refusal(roles, user=role, password=password, sslmode="disable", channel_binding="disable")
    bound = refusal(roles, user=role, password=password)

    assert words in unbound
    assert bound == unbound


@needs_pgbouncer
def test_a_wrong_password_is_refused_through_the_pooler_too(emulator: Emulator, shared: Json) -> None:
    url = pooled(emulator, shared)
    unbound = refusal(url, password="wrong", sslmode="disable", channel_binding="disable")

    assert "authentication failed" in unbound
    assert refusal(url, password="wrong") == unbound


def test_a_password_changed_in_sql_is_known_at_once(roles: str) -> None:
    with psycopg.connect(roles, autocommit=True) as owner:
        for password in ("second-of-this-test", "only-of-this-test"):
            owner.execute(f"ALTER ROLE welcome PASSWORD '{password}'")
            with psycopg.connect(roles, user="welcome", password=password) as connection:
                assert connection.execute("SELECT current_user").fetchone() == ("welcome",)


def test_without_tls_a_client_that_requires_a_bound_channel_stays_out(roles: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="channel binding"):
        psycopg.connect(roles, sslmode="disable")


@contextmanager
def asked_for_a_password(url: str) -> Iterator[ssl.SSLSocket]:
    """A connection through TLS on which the door has just said how it can be proven."""
    host, _, port = url.split("@")[1].split("/", maxsplit=1)[0].partition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        plain.sendall(struct.pack("!ii", 8, 80877103))
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain) as connection:
            body = b"user\0app_owner\0database\0app\0\0"
            connection.sendall(struct.pack("!ii", len(body) + 8, 196608) + body)
            kind, offer = receive(connection)
            assert (kind, offer) == (b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
            yield connection


def receive(connection: ssl.SSLSocket) -> tuple[bytes, bytes]:
    """The next message of the server."""
    with connection.makefile("rb", buffering=0) as file:
        kind, length = struct.unpack("!ci", file.read(5))
        return kind, file.read(length - 4)


def first_message(mechanism: bytes, header: bytes) -> bytes:
    message = header + b"n=,r=nonce-of-a-test"
    body = mechanism + b"\0" + struct.pack("!i", len(message)) + message
    return b"p" + struct.pack("!i", len(body) + 4) + body


def error(connection: ssl.SSLSocket) -> tuple[str, str]:
    """The SQLSTATE and the text of the error that ends the session."""
    kind, body = receive(connection)
    assert kind == b"E", (kind, body)
    assert connection.recv(1) == b""
    fields = {part[:1]: part[1:].decode() for part in body.split(b"\0") if part}
    return fields[b"C"], fields[b"M"]


@pytest.mark.parametrize(
    ("mechanism", "header", "words"),
    [
        (b"SCRAM-SHA-256", b"y,,", "channel binding negotiation error"),
        (b"SCRAM-SHA-256-PLUS", b"n,,", "malformed SCRAM message"),
        (b"SCRAM-SHA-256-PLUS", b"p=tls-unique,,", "unsupported SCRAM channel-binding type"),
        (b"SCRAM-SHA-256-PLUS", b"", "malformed SCRAM message"),
        (b"SCRAM-SHA-256", b"p=tls-server-end-point,,", "malformed SCRAM message"),
        (b"SCRAM-SHA-1", b"n,,", "client selected an invalid SASL authentication mechanism"),
    ],
    ids=["downgrade", "no binding", "another kind", "no header", "a binding that is not meant", "another mechanism"],
)
def test_a_downgrade_and_a_message_that_binds_nothing_end_the_session(
    shared: Json, mechanism: bytes, header: bytes, words: str
) -> None:
    with asked_for_a_password(uri(shared)) as connection:
        connection.sendall(first_message(mechanism, header))
        sqlstate, text = error(connection)

    assert sqlstate == "08P01"
    assert words in text


def test_a_proof_over_another_certificate_is_refused(shared: Json) -> None:
    with asked_for_a_password(uri(shared)) as connection:
        connection.sendall(first_message(b"SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,"))
        kind, challenge = receive(connection)
        assert (kind, challenge[:4]) == (b"R", struct.pack("!i", 11))
        binding = base64.b64encode(b"p=tls-server-end-point,," + bytes(32))
        nonce = challenge[4:].split(b",")[0]
        body = b"c=" + binding + b"," + nonce + b",p=" + base64.b64encode(bytes(32))
        connection.sendall(b"p" + struct.pack("!i", len(body) + 4) + body)

        assert error(connection) == ("28000", "SCRAM channel binding check failed")


def test_an_endless_password_message_ends_the_session(shared: Json) -> None:
    with asked_for_a_password(uri(shared)) as connection:
        connection.sendall(b"p" + struct.pack("!i", 1 << 30))

        assert connection.recv(1) == b""
