"""What is rendered for a client really connects: to PostgreSQL, with each client's own code.

node-postgres and Prisma do the same in tests/product/clients.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psycopg
import pytest
import trustme
from psycopg import sql
from yoyo import get_backend

from dbclient.url import DatabaseURL
from tests.dbclient.url.asking import CLIENTS, ask
from tests.dbclient.url.forwarding import forwarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.server import PostgresServer

PASSWORD = "p@:/?#[]%&=+ é%41'\"\\"


@pytest.fixture(scope="module")
def database(server: PostgresServer) -> Iterator[DatabaseURL]:
    """One database for all of these tests, which only connect."""
    made = server.create_database()
    yield made
    server.drop_database(made)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    "parameters",
    [
        "schema=public&connection_limit=5&pool_timeout=10&connect_timeout=10&socket_timeout=30&pgbouncer=true",
        "statement_cache_size=10&single_use_connections=true",
        "sslmode=prefer&sslaccept=accept_invalid_certs&channel_binding=prefer",
        "sslmode=disable&sslidentity=/id.p12&sslpassword=x",
        "ssl=false&anything=else&service=elsewhere",
        "options=-c%20work_mem%3D8MB&application_name=a%20b&timezone=UTC&search_path=public",
        "keepalives_idle=30&gssencmode=disable&target_session_attrs=read-write",
        "schema=",
    ],
)
def test_parameters_of_any_client_let_every_client_connect(database: DatabaseURL, client: str, parameters: str) -> None:
    url = DatabaseURL.parse(f"{database.reveal()}?{parameters}")
    assert ask(url, client, "SELECT current_database()") == database.database


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("schema", ["shop", "My Shop", 'quo"ted', "back\\slash"])
def test_a_schema_becomes_the_search_path_whatever_its_name(database: DatabaseURL, client: str, schema: str) -> None:
    with psycopg.connect(database.reveal()) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    assert ask(database.copy_merge_params({"schema": schema}), client, "SELECT current_schema()") == schema


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", ["my db", "d%41é", "a/b?c#d", "a'b\"c"])
def test_any_user_password_and_database_connect(server: PostgresServer, client: str, name: str) -> None:
    with psycopg.connect(server.superuser.reveal(), autocommit=True) as connection:
        user, database = sql.Identifier(f"{name} @:"), sql.Identifier(name)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(user, sql.Literal(PASSWORD)))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, user))
        try:
            url = server.superuser.copy_with(user=f"{name} @:", password=PASSWORD, database=name)
            assert ask(DatabaseURL.parse(url.reveal()), client, "SELECT current_database()") == name
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
            connection.execute(sql.SQL("DROP ROLE {}").format(user))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    "spelling", ["postgresql://{who}@/{database}?host={folder}&port=5999", "postgres://{who}@{encoded}:5999/{database}"]
)
def test_a_sockets_folder_connects_in_both_spellings(database: DatabaseURL, client: str, spelling: str) -> None:
    assert database.port
    who = database.reveal().removeprefix("postgresql://").partition("@")[0]
    with tempfile.TemporaryDirectory(prefix="s") as folder:
        text = spelling.format(who=who, folder=folder, encoded=folder.replace("/", "%2F"), database=database.database)
        with forwarded(socket.AF_UNIX, f"{folder}/.s.PGSQL.5999", (database.host, database.port)):
            url = DatabaseURL.parse(text)
            assert url.is_local
            assert ask(url, client, "SELECT current_database()") == database.database


@pytest.mark.parametrize("client", CLIENTS)
def test_an_ipv6_address_connects(database: DatabaseURL, client: str) -> None:
    assert database.port
    try:
        with forwarded(socket.AF_INET6, ("::1", 0), (database.host, database.port)) as address:
            url = database.copy_with(host="::1", port=int(address[1]))
            assert ask(DatabaseURL.parse(url.reveal()), client, "SELECT 1") == 1
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")


def test_a_local_url_cannot_be_led_elsewhere_by_the_environment(
    database: DatabaseURL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")  # libpq would connect there, whatever `host` says
    local = database.copy_with(host="localhost")
    assert local.is_local
    assert ask(local.copy_merge_params({"connect_timeout": "5"}), "psycopg", "SELECT 1") == 1


@pytest.fixture
def secured(database: DatabaseURL, pooled: Callable[..., DatabaseURL], tmp_path: Path) -> tuple[DatabaseURL, Path]:
    """A server that speaks TLS to whoever asks for it, and the file of the CA that signed its certificate.

    It is PgBouncer: not every build of PostgreSQL has TLS.
    """
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)  # PgBouncer runs as another account when the tests run as root
        certificate.cert_chain_pems[0].write_to_path(str(place / "server.crt"))
        certificate.private_key_pem.write_to_path(str(place / "server.key"))
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        files = {"client_tls_cert_file": str(place / "server.crt"), "client_tls_key_file": str(place / "server.key")}
        url = pooled(database, {"client_tls_sslmode": "allow", **files})
        assert encrypted(url.copy_merge_params({"sslmode": "require"}), "psycopg")
        assert not encrypted(url.copy_merge_params({"sslmode": "disable"}), "psycopg")
    return url.copy_with(host="localhost").copy_merge_params({"pgbouncer": "true"}), tmp_path / "ca.pem"


def encrypted(url: DatabaseURL, client: str) -> bool:
    """Whether this client speaks TLS there."""
    if client == "psycopg":
        with psycopg.connect(url.for_psycopg().dsn) as connection:
            return connection.pgconn.ssl_in_use
    if client == "yoyo":
        backend = get_backend(url.for_yoyo().dsn)
        try:
            return bool(backend.connection.pgconn.ssl_in_use)
        finally:
            backend.connection.close()

    async def asyncpg_is() -> bool:
        settings = url.for_asyncpg()
        connection = await asyncpg.connect(settings.dsn, **settings.connect)
        try:
            return connection._transport.get_extra_info("ssl_object") is not None
        finally:
            await connection.close()

    return asyncio.run(asyncpg_is())


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    "parameters",
    [
        {"sslmode": "require"},
        {"sslmode": "require", "channel_binding": "prefer"},
        {"sslmode": "no-verify"},
        {"ssl": "true"},
        {"ssl": "require"},
        {"ssl": "require", "sslmode": "prefer"},
        {"ssl": "verify-full", "sslrootcert": "CA"},
        {"ssl": "verify-ca", "sslrootcert": "CA"},
        {"ssl_min_protocol_version": "TLSv1.2"},
        {"sslcert": "CA"},  # taken as it stands, libpq would connect without TLS, and say nothing
        {"sslcert": "CA", "sslmode": "require"},
        {"sslcert": "CA", "sslaccept": "strict"},
        {"sslmode": "verify-full", "sslrootcert": "CA"},
        {"sslmode": "verify-ca", "sslrootcert": "CA"},
        {"sslmode": "require", "sslaccept": "accept_invalid_certs", "sslcert": "CA"},
    ],
    ids=str,
)
def test_tls_is_used_when_it_was_asked_for(
    secured: tuple[DatabaseURL, Path], client: str, parameters: dict[str, str]
) -> None:
    url, authority = secured
    given = {name: str(authority) if value == "CA" else value for name, value in parameters.items()}
    assert encrypted(url.copy_merge_params(given), client)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    "parameters",
    [
        {"sslcert": "OTHER"},
        {"sslmode": "verify-full", "sslrootcert": "OTHER"},
        {"ssl": "verify-full", "sslrootcert": "OTHER"},
        {"ssl": "verify-ca", "sslrootcert": "OTHER"},
        {"sslaccept": "strict"},
        {"sslrootcert": "system"},
        {"sslmode": "require", "uselibpqcompat": "false"},
    ],
    ids=str,
)
def test_a_certificate_of_another_authority_is_refused(
    secured: tuple[DatabaseURL, Path], tmp_path: Path, client: str, parameters: dict[str, str]
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    given = {name: str(other) if value == "OTHER" else value for name, value in parameters.items()}
    with pytest.raises((psycopg.OperationalError, OSError), match=r"(?i)certificate"):
        encrypted(secured[0].copy_merge_params(given), client)


def test_a_client_that_binds_no_channels_checks_the_certificate_instead(secured: tuple[DatabaseURL, Path]) -> None:
    url = secured[0].copy_merge_params({"sslmode": "require", "channel_binding": "require"})
    with pytest.raises(OSError, match="certificate"):
        encrypted(url, "asyncpg")
    assert encrypted(url.copy_merge_params({"sslrootcert": str(secured[1])}), "asyncpg")
