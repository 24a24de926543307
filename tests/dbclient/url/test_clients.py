"""What each parameter of a connection string becomes for each client: the table, row by row.

Each row was measured by connecting; test_connecting.py connects again with what is rendered here.
"""

from __future__ import annotations

import ssl
from typing import Any, NamedTuple

import pytest

from dbclient.url import DatabaseURL


class Gets(NamedTuple):
    """What a client is given: the query of its URL, and the keyword arguments beside it."""

    query: str = ""
    connect: dict[str, Any] = {}  # noqa: RUF012 - compared, never changed
    pool: dict[str, Any] = {}  # noqa: RUF012
    acquire: dict[str, Any] = {}  # noqa: RUF012
    left_out: tuple[str, ...] = ()


NOTHING = Gets()
CLIENTS = ("asyncpg", "psycopg", "yoyo", "prisma")


def left_out(*names: str) -> Gets:
    return Gets(left_out=names)


def same(query: str) -> Gets:
    return Gets(query)


# parameters: asyncpg, psycopg, yoyo, prisma (and node-postgres)
TABLE: dict[str, tuple[Gets, Gets, Gets, Gets]] = {
    "schema=public": (NOTHING, NOTHING, same("schema=public"), Gets("schema=public", {"schema": "public"})),
    "schema=": (NOTHING, NOTHING, NOTHING, NOTHING),
    "schema=shop": (
        Gets(connect={"server_settings": {"search_path": '"shop"'}}),
        Gets("options=-c%20search_path%3D%22shop%22"),
        same("schema=shop"),
        Gets("schema=shop", {"schema": "shop"}),
    ),
    "schema=My%20Shop%22s": (
        Gets(connect={"server_settings": {"search_path": '"My Shop""s"'}}),
        Gets("options=-c%20search_path%3D%22My%5C%20Shop%22%22s%22"),
        same("schema=%22My%20Shop%22%22s%22"),
        Gets("schema=My%20Shop%22s", {"schema": 'My Shop"s'}),
    ),
    "connection_limit=7": (
        Gets(pool={"max_size": 7, "min_size": 0}),
        Gets(pool={"max_size": 7, "min_size": 1}),
        left_out("connection_limit"),
        Gets(pool={"max": 7}),
    ),
    "connection_limit=0": (NOTHING, NOTHING, left_out("connection_limit"), NOTHING),
    "pool_timeout=9": (
        Gets(acquire={"timeout": 9}),
        Gets(pool={"timeout": 9}),
        left_out("pool_timeout"),
        left_out("pool_timeout"),
    ),
    "pool_timeout=0": (Gets(acquire={"timeout": None}), NOTHING, left_out("pool_timeout"), left_out("pool_timeout")),
    "connect_timeout=15": (
        Gets(connect={"timeout": 15}),
        same("connect_timeout=15"),
        same("connect_timeout=15"),
        Gets(pool={"connectionTimeoutMillis": 15000}),
    ),
    "connect_timeout=0": (
        Gets(connect={"timeout": None}),
        same("connect_timeout=0"),
        same("connect_timeout=0"),
        Gets(pool={"connectionTimeoutMillis": 0}),
    ),
    "socket_timeout=4": (
        Gets(connect={"command_timeout": 4}),
        left_out("socket_timeout"),
        left_out("socket_timeout"),
        Gets(pool={"query_timeout": 4000}),
    ),
    "pgbouncer=true": (
        Gets(connect={"statement_cache_size": 0}),
        Gets(connect={"prepare_threshold": None}),
        left_out("pgbouncer"),
        NOTHING,
    ),
    "pgbouncer=false": (NOTHING, NOTHING, left_out("pgbouncer"), NOTHING),
    "statement_cache_size=50": (
        Gets(connect={"statement_cache_size": 50}),
        left_out("statement_cache_size"),
        left_out("statement_cache_size"),
        left_out("statement_cache_size"),
    ),
    "pgbouncer=true&statement_cache_size=50": (
        Gets(connect={"statement_cache_size": 0}),
        Gets(connect={"prepare_threshold": None}, left_out=("statement_cache_size",)),
        left_out("pgbouncer", "statement_cache_size"),
        left_out("statement_cache_size"),
    ),
    "single_use_connections=true": (left_out("single_use_connections"),) * 4,
    "sslmode=disable": (same("sslmode=disable"),) * 4,
    "sslmode=prefer": (same("sslmode=prefer"),) * 3 + (same("uselibpqcompat=true&sslmode=require"),),
    "sslmode=allow": (same("sslmode=allow"),) * 3 + (same("uselibpqcompat=true&sslmode=require"),),
    "sslmode=require": (same("sslmode=require"),) * 3 + (same("uselibpqcompat=true&sslmode=require"),),
    "sslmode=verify-ca": (same("sslmode=verify-ca"),) * 3 + (same("sslmode=verify-full"),),
    "sslmode=verify-full": (same("sslmode=verify-full"),) * 4,
    "sslmode=no-verify": (same("sslmode=require"),) * 3 + (same("uselibpqcompat=true&sslmode=require"),),
    "ssl=true": (same("sslmode=require"),) * 3 + (same("sslmode=verify-full"),),
    "ssl=disable": (same("sslmode=disable"),) * 4,
    "ssl=prefer": (same("sslmode=prefer"),) * 3 + (same("uselibpqcompat=true&sslmode=require"),),
    "ssl=require": (same("sslmode=require"),) * 3 + (same("uselibpqcompat=true&sslmode=require"),),
    "ssl=no-verify": (same("sslmode=require"),) * 3 + (same("uselibpqcompat=true&sslmode=require"),),
    "ssl=verify-ca": (same("sslmode=verify-ca"),) * 3 + (same("sslmode=verify-full"),),
    "ssl=verify-full": (same("sslmode=verify-full"),) * 4,
    "ssl=verify-full&sslmode=prefer": (same("sslmode=verify-full"),) * 4,
    "uselibpqcompat=true&sslmode=require": (same("sslmode=require"),) * 3
    + (same("uselibpqcompat=true&sslmode=require"),),
    "ssl=false": (NOTHING,) * 4,
    "sslaccept=accept_invalid_certs": (NOTHING,) * 4,
    "sslmode=require&sslaccept=accept_invalid_certs&sslcert=/ca.pem": (
        Gets("sslmode=require", left_out=("sslcert",)),
        Gets("sslmode=require", left_out=("sslcert",)),
        Gets("sslmode=require", left_out=("sslcert",)),
        Gets("uselibpqcompat=true&sslmode=require", left_out=("sslcert",)),
    ),
    "sslaccept=strict&sslcert=/ca.pem": (same("sslmode=verify-full&sslrootcert=/ca.pem"),) * 4,
    "sslcert=/ca.pem": (same("sslmode=require&sslrootcert=/ca.pem"),) * 3
    + (same("uselibpqcompat=true&sslmode=require&sslrootcert=/ca.pem"),),
    "sslmode=require&sslcert=/ca.pem": (same("sslmode=require&sslrootcert=/ca.pem"),) * 3
    + (same("uselibpqcompat=true&sslmode=require&sslrootcert=/ca.pem"),),
    "sslcert=/c.pem&sslkey=/k.pem&sslpassword=x&sslmode=require": (
        *(same("sslmode=require&sslcert=/c.pem&sslkey=/k.pem&sslpassword=x"),) * 3,
        Gets("uselibpqcompat=true&sslmode=require&sslcert=/c.pem&sslkey=/k.pem", left_out=("sslpassword",)),
    ),
    "sslcert=/c.pem&sslrootcert=/ca.pem": (
        *(Gets("sslmode=require&sslrootcert=/ca.pem", left_out=("sslcert",)),) * 3,
        Gets("uselibpqcompat=true&sslmode=require&sslrootcert=/ca.pem", left_out=("sslcert",)),
    ),
    "sslcert=/c.pem&sslkey=/k.pem": (same("sslmode=require&sslcert=/c.pem&sslkey=/k.pem"),) * 3
    + (same("uselibpqcompat=true&sslmode=require&sslcert=/c.pem&sslkey=/k.pem"),),
    "sslmode=verify-ca&sslrootcert=/ca.pem": (same("sslmode=verify-ca&sslrootcert=/ca.pem"),) * 3
    + (same("uselibpqcompat=true&sslmode=verify-ca&sslrootcert=/ca.pem"),),
    "channel_binding=prefer": (
        left_out("channel_binding"),
        same("channel_binding=prefer"),
        same("channel_binding=prefer"),
        left_out("channel_binding"),
    ),
    # Neither can bind channels: they check the certificate in full.
    "channel_binding=require&sslrootcert=/ca.pem": (
        Gets("sslmode=verify-full&sslrootcert=/ca.pem", left_out=("channel_binding",)),
        same("sslmode=require&sslrootcert=/ca.pem&channel_binding=require"),
        same("sslmode=require&sslrootcert=/ca.pem&channel_binding=require"),
        Gets("sslmode=verify-full&sslrootcert=/ca.pem", left_out=("channel_binding",)),
    ),
    "options=-c%20work_mem%3D8MB": (same("options=-c%20work_mem%3D8MB"),) * 4,
    "options=endpoint%3Dep-calm-1": (same("options=endpoint%3Dep-calm-1"),) * 4,
    "schema=shop&options=-c%20work_mem%3D8MB": (
        Gets("options=-c%20work_mem%3D8MB", {"server_settings": {"search_path": '"shop"'}}),
        same("options=-c%20work_mem%3D8MB%20-c%20search_path%3D%22shop%22"),
        same("options=-c%20work_mem%3D8MB&schema=shop"),
        Gets("options=-c%20work_mem%3D8MB&schema=shop", {"schema": "shop"}),
    ),
    "application_name=a%20b": (same("application_name=a%20b"),) * 4,
    "search_path=a,b": (
        Gets(connect={"server_settings": {"search_path": "a,b"}}),
        same("options=-c%20search_path%3Da%2Cb"),
        same("options=-c%20search_path%3Da%2Cb"),
        left_out("search_path"),
    ),
    "timezone=UTC": (
        same("timezone=UTC"),
        same("options=-c%20TimeZone%3DUTC"),
        same("options=-c%20TimeZone%3DUTC"),
        left_out("timezone"),
    ),
    "target_session_attrs=read-write": (
        *(same("target_session_attrs=read-write"),) * 3,
        left_out("target_session_attrs"),
    ),
    "keepalives_idle=30&gssencmode=disable&sslnegotiation=direct": (
        Gets("sslmode=require&sslnegotiation=direct", left_out=("keepalives_idle", "gssencmode")),
        same("sslmode=require&keepalives_idle=30&gssencmode=disable&sslnegotiation=direct"),
        same("sslmode=require&keepalives_idle=30&gssencmode=disable&sslnegotiation=direct"),
        Gets("uselibpqcompat=true&sslmode=require&sslnegotiation=direct", left_out=("keepalives_idle", "gssencmode")),
    ),
    "ssl_min_protocol_version=TLSv1.2": (
        same("sslmode=require&ssl_min_protocol_version=TLSv1.2"),
        same("sslmode=require&ssl_min_protocol_version=TLSv1.2"),
        same("sslmode=require&ssl_min_protocol_version=TLSv1.2"),
        Gets("uselibpqcompat=true&sslmode=require", left_out=("ssl_min_protocol_version",)),
    ),
    "connect_timeout=2147483647": (
        Gets(connect={"timeout": 2147483647}),
        same("connect_timeout=2147483647"),
        same("connect_timeout=2147483647"),
        Gets(pool={"connectionTimeoutMillis": 2147483647}),
    ),
    "service=production": (left_out("service"),) * 4,
    "anything=else": (left_out("anything"),) * 4,
    # Through a transaction-mode pooler no start-up setting passes but application_name, timezone and Neon's own option.
    "pgbouncer=true&schema=shop": (
        Gets(connect={"statement_cache_size": 0}, left_out=("schema",)),
        Gets(connect={"prepare_threshold": None}, left_out=("schema",)),
        Gets("schema=shop", left_out=("pgbouncer",)),
        Gets("schema=shop", {"schema": "shop"}),
    ),
    "pgbouncer=true&options=-c%20work_mem%3D8MB&timezone=UTC&application_name=a": (
        Gets("application_name=a&timezone=UTC", {"statement_cache_size": 0}, left_out=("options",)),
        Gets("application_name=a", {"prepare_threshold": None}, left_out=("options", "timezone")),
        Gets("application_name=a", left_out=("pgbouncer", "options", "timezone")),
        Gets("application_name=a", left_out=("options", "timezone")),
    ),
    "pgbouncer=true&options=endpoint%3Dep-calm-1": (
        Gets("options=endpoint%3Dep-calm-1", {"statement_cache_size": 0}),
        Gets("options=endpoint%3Dep-calm-1", {"prepare_threshold": None}),
        Gets("options=endpoint%3Dep-calm-1", left_out=("pgbouncer",)),
        same("options=endpoint%3Dep-calm-1"),
    ),
    "pgbouncer=true&options=endpoint%3Dep-calm-1%20-c%20search_path%3Dfoo": (
        Gets("options=endpoint%3Dep-calm-1", {"statement_cache_size": 0}, left_out=("options",)),
        Gets("options=endpoint%3Dep-calm-1", {"prepare_threshold": None}, left_out=("options",)),
        Gets("options=endpoint%3Dep-calm-1", left_out=("pgbouncer", "options")),
        Gets("options=endpoint%3Dep-calm-1", left_out=("options",)),
    ),
    # A backslash keeps the space in one word, as the server reads it.
    "pgbouncer=true&options=-c%20a.b%3Dx%5C%20project%3Dno%20%20neon_lsn:0/2%20project%3Dep-calm-1": (
        Gets("options=neon_lsn%3A0/2%20project%3Dep-calm-1", {"statement_cache_size": 0}, left_out=("options",)),
        Gets("options=neon_lsn%3A0/2%20project%3Dep-calm-1", {"prepare_threshold": None}, left_out=("options",)),
        Gets("options=neon_lsn%3A0/2%20project%3Dep-calm-1", left_out=("pgbouncer", "options")),
        Gets("options=neon_lsn%3A0/2%20project%3Dep-calm-1", left_out=("options",)),
    ),
}

ROWS = [
    pytest.param(parameters, client, expected, id=f"{client}:{parameters}")
    for parameters, row in TABLE.items()
    for client, expected in zip(CLIENTS, row, strict=True)
]


@pytest.mark.parametrize(("parameters", "client", "expected"), ROWS)
def test_a_parameter_becomes_what_the_client_calls_it(parameters: str, client: str, expected: Gets) -> None:
    url = DatabaseURL.parse(f"postgresql://u:p%40@h:5433/d?{parameters}")
    settings = getattr(url, f"for_{client}")()
    scheme = "postgresql+psycopg" if client == "yoyo" else "postgresql"
    query = f"?{expected.query}" if expected.query else ""
    assert settings.dsn == f"{scheme}://u:p%40@h:5433/d{query}"
    given = (dict(settings.connect), dict(settings.pool), dict(settings.acquire), settings.left_out)
    assert given == (expected.connect, expected.pool, expected.acquire, expected.left_out)


@pytest.mark.parametrize("parameters", ["sslrootcert=system", "sslmode=require&sslrootcert=system", "sslaccept=strict"])
def test_the_systems_certificates_verify_in_full(parameters: str) -> None:
    url = DatabaseURL.parse(f"postgresql://u@h/d?{parameters}")
    for client in ("psycopg", "yoyo"):
        assert getattr(url, f"for_{client}")().dsn.endswith("/d?sslmode=verify-full&sslrootcert=system")
    assert url.for_prisma().dsn.endswith("/d?sslmode=verify-full")
    asyncpg = url.for_asyncpg()
    assert asyncpg.dsn.endswith("/d?sslmode=verify-full&sslrootcert=system")  # alone it fails, and never goes without
    assert asyncpg.connect["ssl"].verify_mode is ssl.CERT_REQUIRED
    assert asyncpg.connect["ssl"].check_hostname


@pytest.mark.parametrize("mode", ["prefer", "allow"])
def test_prisma_speaks_plainly_to_a_local_server_that_may_have_no_tls(mode: str) -> None:
    assert (
        DatabaseURL.parse(f"postgresql://u@localhost/d?sslmode={mode}").for_prisma().dsn == "postgresql://u@localhost/d"
    )


def test_what_neon_hands_out_works_as_it_is() -> None:
    text = "postgresql://u:p@ep-calm-1-pooler.eu.aws.neon.tech/d?sslmode=require&channel_binding=require"
    url = DatabaseURL.parse(text)
    host = "ep-calm-1-pooler.eu.aws.neon.tech"
    # asyncpg binds no channels: it checks the certificate, which is signed by a public CA.
    assert url.for_asyncpg().dsn == f"postgresql://u:p@{host}/d?sslmode=verify-full&sslrootcert=system"
    connect = dict(url.for_asyncpg().connect)
    assert connect.pop("ssl").check_hostname
    assert connect == {"statement_cache_size": 0}
    assert url.for_psycopg().dsn == f"postgresql://u:p@{host}/d?sslmode=require&channel_binding=require"
    assert dict(url.for_psycopg().connect) == {"prepare_threshold": None}
    assert url.for_prisma().dsn == f"postgresql://u:p@{host}/d?sslmode=verify-full"


@pytest.mark.parametrize("client", CLIENTS)
def test_neon_is_never_spoken_to_without_tls(client: str) -> None:
    settings = getattr(DatabaseURL.parse("postgresql://u:p@ep-calm-1.eu.neon.tech/d"), f"for_{client}")()
    assert "sslmode=verify-full" in settings.dsn if client == "prisma" else "sslmode=require" in settings.dsn


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql+asyncpg://u:p@h/d", "postgresql://u:p@h/d"),
        ("postgresql+psycopg://u:p@h/d", "postgresql://u:p@h/d"),
        ("postgres://u:p@h/d", "postgresql://u:p@h/d"),
        ("postgresql://u:a%@h/d", "postgresql://u:a%25@h/d"),
        ("postgresql://u:a@b@h/d", "postgresql://u:a%40b@h/d"),
        ("postgresql://u:a+b@h/d", "postgresql://u:a%2Bb@h/d"),
        ("postgresql://u:p@%2Frun:77/d", "postgresql://u:p@/d?host=/run&port=77"),
        ("postgresql://u:p@[::1]:77/my%20db", "postgresql://u:p@[::1]:77/my%20db"),
    ],
)
def test_scheme_password_host_and_database_are_written_as_every_client_reads_them(text: str, expected: str) -> None:
    url = DatabaseURL.parse(text)
    for client in ("asyncpg", "psycopg", "prisma"):
        assert getattr(url, f"for_{client}")().dsn == expected


def test_yoyo_never_decodes_the_databases_name_so_it_stands_in_the_query() -> None:
    assert (
        DatabaseURL.parse("postgresql://u:p@h/my%20db?schema=x").for_yoyo().dsn
        == "postgresql+psycopg://u:p@h/?dbname=my%20db&schema=x"
    )


def test_node_postgres_leaves_some_of_the_databases_name_undecoded_so_they_stand_raw() -> None:
    url = DatabaseURL(host="h", database="a/b:c@d e%2F")
    assert url.for_prisma().dsn == "postgresql://h/a/b:c@d%20e%252F"


def test_settings_are_immutable() -> None:
    settings = DatabaseURL.parse("postgresql://u:p@h/d?connection_limit=2").for_asyncpg()
    with pytest.raises(AttributeError):
        settings.dsn = "other"
    with pytest.raises(TypeError):
        settings.pool["max_size"] = 3  # type: ignore[index]
    assert settings == DatabaseURL.parse("postgresql://u:p@h/d?connection_limit=2").for_asyncpg()
    assert len({settings, settings}) == 1
