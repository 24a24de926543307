"""Nothing that asks for protection is lost: what is not understood is refused, and no client goes without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
import trustme

from dbclient.url import DatabaseURL, InvalidDatabaseURL
from dbclient.url.protection import CHOICES
from tests.dbclient.url.asking import CLIENTS, ask

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.server import PostgresServer

MISSPELT = [
    "sslMode=require",
    "SSLMODE=require",
    "SslMode=verify-full",
    "ssl_mode=require",
    "ssl-mode=require",
    "sslmode%20=require",
    "sslmod=require",
    "slmode=require",
    "SSL=true",
    "useSSL=true",
    "requireSSL=true",
    "requiressl=1",
    "tls=true",
    "useTLS=1",
    "tlsMode=require",
    "sslfactory=org.postgresql.ssl.DefaultJavaSSLFactory",
    "sslhostnameverifier=x",
    "sslRootCert=/ca.pem",
    "ssl_root_cert=/ca.pem",
    "rootcert=/ca.pem",
    "ca=/ca.pem",
    "caFile=/ca.pem",
    "trustServerCertificate=false",
    "verifyServerCertificate=true",
    "rejectUnauthorized=true",
    "encrypt=true",
    "channelBinding=require",
    "channel-binding=require",
    "chanel_binding=require",
    "gssEncMode=require",
    "requireAuth=scram-sha-256",
    "sslAccept=strict",
    "sslmode=disable&SSLMODE=require",
]
WRONG_VALUE = [
    "ssl=verify",
    "ssl=",
    "ssl={}",
    "sslmode=",
    "sslmode=Require",
    "sslmode=verify_full",
    "sslaccept=Strict",
    "sslaccept=",
    "sslrootcert=",
    "sslcert=",
    "channel_binding=",
    "channel_binding=true",
    "gssencmode=on",
    "sslnegotiation=tls",
    "ssl_min_protocol_version=1.2",
    "uselibpqcompat=1",
]
CONTRADICTION = [
    "sslmode=disable&ssl=true",
    "sslmode=disable&ssl=verify-full",
    "ssl=disable&sslmode=require",
    "sslmode=disable&sslaccept=strict",
    "sslmode=disable&channel_binding=require",
    "sslmode=disable&sslnegotiation=direct",
]


@pytest.mark.parametrize(
    "parameters", [*MISSPELT, *WRONG_VALUE, *CONTRADICTION, "sslidentity=/id.p12", "sslkey=/k.pem"]
)
def test_a_request_for_protection_that_is_not_understood_is_refused(parameters: str) -> None:
    with pytest.raises(InvalidDatabaseURL):
        DatabaseURL.parse(f"postgresql://h/d?{parameters}")
    name, _, value = parameters.partition("=")
    if "&" not in value and "%" not in name:
        with pytest.raises(InvalidDatabaseURL):
            DatabaseURL(host="h").copy_merge_params({name: value})


@pytest.mark.parametrize(
    "parameters",
    [
        "ttl_seconds=3&min_protocol_version=3.2&max_protocol_version=3.2",  # libpq's own protocol, not TLS
        "host=h&schema=s&service=x&socket_timeout=3&single_use_connections=true&keepalives=1&scale=2&tlas=3",
        "sslmode=disable&sslrootcert=/ca.pem&sslidentity=/id.p12&sslpassword=x",
    ],
)
def test_what_asks_for_nothing_is_not_taken_for_a_request(parameters: str) -> None:
    assert DatabaseURL.parse(f"postgresql:///d?{parameters}").for_asyncpg().dsn


def test_a_refusal_names_the_known_spellings_and_repeats_nothing() -> None:
    with pytest.raises(InvalidDatabaseURL) as raised:
        DatabaseURL.parse("postgresql://u:geheim@h/d?geheimSSL=geheim")
    assert "geheim" not in str(raised.value)
    assert all(name in str(raised.value) for name in CHOICES)


ASKING = [
    *(f"ssl={value}" for value in ("require", "verify-ca", "verify-full", "true", "TRUE", "1", "no-verify")),
    *(f"sslmode={value}" for value in ("require", "verify-ca", "verify-full", "no-verify")),
    "ssl=require&sslmode=prefer",
    "ssl=true&sslmode=allow",
    "ssl=false&sslmode=require",
    "ssl=prefer&sslmode=verify-full&sslrootcert=CA",
    "sslaccept=strict",
    "sslaccept=strict&sslmode=prefer&sslcert=CA",
    "sslcert=CA",
    "sslcert=CA&sslkey=KEY",
    "sslrootcert=CA",
    "sslrootcert=system",
    "sslcrl=CA",
    "ssl_min_protocol_version=TLSv1.3",
    "channel_binding=require",
    "channel_binding=require&sslmode=prefer",
    "sslnegotiation=direct",
    "sslnegotiation=direct&sslmode=prefer",
    "gssencmode=require",
    "uselibpqcompat=true&sslmode=require",
    "uselibpqcompat=false&sslmode=prefer",
]


@pytest.mark.parametrize("parameters", ASKING)
def test_no_client_connects_in_plain_text_when_anything_asks_for_protection(
    server: PostgresServer, tmp_path: Path, parameters: str
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    files = parameters.replace("CA", str(tmp_path / "ca.pem")).replace("KEY", str(tmp_path / "key.pem"))
    plain = server.superuser
    assert ask(plain, "psycopg", "SHOW ssl") == "off"
    for client in CLIENTS:
        with pytest.raises((ValueError, psycopg.OperationalError, OSError)):
            ask(DatabaseURL.parse(f"{plain.reveal()}?{files}"), client, "SELECT 1")


@pytest.mark.parametrize(
    ("parameters", "clients"),
    [
        ("require_auth=scram-sha-256", ("asyncpg", "prisma")),
        ("requirepeer=postgres", ("asyncpg", "prisma")),
        ("gssencmode=require", ("asyncpg", "prisma")),
        ("sslcertmode=require", ("asyncpg", "prisma")),
        ("sslcrldir=/crl", ("asyncpg", "prisma")),
        ("sslcrl=/crl.pem", ("prisma",)),
        ("ssl_min_protocol_version=TLSv1.3", ("prisma",)),
    ],
)
def test_a_client_that_cannot_give_what_is_asked_for_is_refused_the_url(
    parameters: str, clients: tuple[str, ...]
) -> None:
    url = DatabaseURL.parse(f"postgresql://h/d?{parameters}")
    for client in ("asyncpg", "psycopg", "yoyo", "prisma"):
        if client in clients:
            with pytest.raises(InvalidDatabaseURL, match=f"nothing like {parameters.partition('=')[0]}"):
                getattr(url, f"for_{client}")()
        else:
            assert not getattr(url, f"for_{client}")().left_out


def test_what_is_turned_off_with_tls_is_named() -> None:
    url = DatabaseURL.parse("postgresql://h/d?sslmode=disable&sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem")
    for client in ("asyncpg", "psycopg", "yoyo", "prisma"):
        settings = getattr(url, f"for_{client}")()
        assert settings.dsn.endswith("?sslmode=disable")
        assert settings.left_out == ("sslrootcert", "sslcert", "sslkey")


def test_the_systems_trust_keeps_the_other_tls_parameters(tmp_path: Path) -> None:
    import ssl

    authority = trustme.CA()
    mine = authority.issue_cert("client")
    mine.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "mine.pem"))
    url = DatabaseURL(host="h").copy_merge_params(
        {
            "sslrootcert": "system",
            "ssl_min_protocol_version": "TLSv1.3",
            "sslcert": str(tmp_path / "mine.pem"),
            "sslkey": str(tmp_path / "mine.pem"),
        }
    )
    assert url.for_asyncpg().connect["ssl"].minimum_version is ssl.TLSVersion.TLSv1_3
    for name in ("sslcert", "sslkey"):
        with pytest.raises(InvalidDatabaseURL, match="cannot be read"):
            url.copy_merge_params({name: str(tmp_path / "missing.pem")}).for_asyncpg()
