"""What a connection string becomes for node-postgres connects there; the same rows as for the other clients."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import trustme
from psycopg import sql

from dbclient.url import DatabaseURL
from tests.dbclient.url.forwarding import forwarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.server import PostgresServer
    from tests.support.typescript import Node

DATABASE = "SELECT current_database()"


@pytest.fixture(scope="module")
def database(server: PostgresServer) -> Iterator[DatabaseURL]:
    """One database for all of these tests, which only connect."""
    made = server.create_database()
    yield made
    server.drop_database(made)


@pytest.mark.parametrize(
    "parameters",
    [
        "schema=public&connection_limit=5&pool_timeout=10&connect_timeout=10&socket_timeout=30&pgbouncer=true",
        "sslmode=prefer&sslaccept=accept_invalid_certs&channel_binding=prefer",
        "sslmode=disable&sslidentity=/id.p12&sslpassword=x&anything=else",
        "options=-c%20work_mem%3D8MB&application_name=a%20b&timezone=UTC",
    ],
)
def test_parameters_of_any_client_let_it_connect(node: Node, database: DatabaseURL, parameters: str) -> None:
    url = DatabaseURL.parse(f"{database.reveal()}?{parameters}")
    assert node.run("ask.mjs", url=url, QUESTION=DATABASE) == database.database


@pytest.mark.parametrize("name", ["my db", "d%41é", "a/b:c@d&e=f+g%2Fh"])
def test_any_user_password_and_database_connect(node: Node, server: PostgresServer, name: str) -> None:
    password = "p@:/?#[]%&=+ é%41'\"\\"
    with psycopg.connect(server.superuser.reveal(), autocommit=True) as connection:
        user, database = sql.Identifier(f"{name} @:n"), sql.Identifier(name)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(user, sql.Literal(password)))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, user))
        try:
            url = server.superuser.copy_with(user=f"{name} @:n", password=password, database=name)
            assert node.run("ask.mjs", url=url, QUESTION=DATABASE) == name
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
            connection.execute(sql.SQL("DROP ROLE {}").format(user))


def test_a_sockets_folder_connects(node: Node, database: DatabaseURL) -> None:
    assert database.port
    with (
        tempfile.TemporaryDirectory(prefix="s") as folder,
        forwarded(socket.AF_UNIX, f"{folder}/.s.PGSQL.5999", (database.host, database.port)),
    ):
        url = database.copy_with(host=folder, port=5999)
        assert node.run("ask.mjs", url=url, QUESTION=DATABASE) == database.database


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"sslmode": "require"}, True),
        ({"sslmode": "no-verify"}, True),
        ({"ssl": "require"}, True),
        ({"sslmode": "verify-full", "sslrootcert": "CA"}, True),
        ({"sslmode": "verify-ca", "sslrootcert": "CA"}, True),
        ({"sslcert": "CA"}, True),
        ({"sslcert": "CA", "sslaccept": "strict"}, True),
        ({"sslmode": "disable"}, False),
        ({"sslmode": "verify-full"}, "refused"),
        ({"ssl": "true"}, "refused"),
        ({"ssl": "verify-full"}, "refused"),
        ({"channel_binding": "require"}, "refused"),
        ({"sslaccept": "strict"}, "refused"),
        ({"sslmode": "verify-full", "sslrootcert": "OTHER"}, "refused"),
        ({"sslcert": "OTHER"}, "refused"),
    ],
    ids=str,
)
def test_tls_means_what_it_means_to_libpq(
    node: Node,
    database: DatabaseURL,
    pooled: Callable[..., DatabaseURL],
    tmp_path: Path,
    parameters: dict[str, str],
    expected: bool | str,
) -> None:
    authority, other = trustme.CA(), trustme.CA()
    certificate = authority.issue_cert("localhost")
    files = {"CA": str(tmp_path / "ca.pem"), "OTHER": str(tmp_path / "other.pem")}
    authority.cert_pem.write_to_path(files["CA"])
    other.cert_pem.write_to_path(files["OTHER"])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)  # PgBouncer runs as another account when the tests run as root
        certificate.cert_chain_pems[0].write_to_path(str(place / "server.crt"))
        certificate.private_key_pem.write_to_path(str(place / "server.key"))
        url = pooled(
            database,
            {
                "client_tls_sslmode": "allow",
                "client_tls_cert_file": str(place / "server.crt"),
                "client_tls_key_file": str(place / "server.key"),
            },
        )
    given = {name: files.get(value, value) for name, value in parameters.items()}
    process = node.start("ask.mjs", url=url.copy_with(host="localhost").copy_merge_params(given), QUESTION="tls")
    out, err = process.communicate(timeout=60)
    if expected == "refused":
        assert "certificate" in err
    else:
        assert out.strip() == str(expected).lower(), err
