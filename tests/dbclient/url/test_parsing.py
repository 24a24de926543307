"""How a connection string is read: parts, spellings, and what is refused."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest

from dbclient.url import DatabaseURL, InvalidDatabaseURL

PARTS = [
    ("postgresql://u:p@h:5433/d", {"user": "u", "password": "p", "host": "h", "port": 5433, "database": "d"}),
    ("postgres://u:p@h/d", {"user": "u", "password": "p", "host": "h", "port": None, "database": "d"}),
    ("POSTGRES://u@H.Example/d", {"user": "u", "password": None, "host": "h.example"}),
    ("postgresql+psycopg://u:p@h/d", {"user": "u", "host": "h", "database": "d"}),
    ("postgresql+psycopg2://u:p@h/d", {"host": "h"}),
    ("postgresql+asyncpg://u:p@h/d", {"host": "h"}),
    ("  postgresql://h/d\n", {"host": "h", "database": "d"}),
    ("postgresql://", {"user": None, "password": None, "host": "", "port": None, "database": None, "params": ()}),
    ("postgresql://:@:/?", {"user": None, "password": None, "host": "", "port": None, "database": None}),
    ("postgresql://u:@h", {"user": "u", "password": None, "database": None}),
    ("postgresql://:p@h", {"user": None, "password": "p"}),
    ("postgresql://u:p@s@h/d", {"user": "u", "password": "p@s", "host": "h"}),
    ("postgresql://u:a%@h", {"password": "a%"}),
    ("postgresql://u:a%zz%41@h", {"password": "a%zzA"}),
    ("postgresql://u:a+b%2Bc@h", {"password": "a+b+c"}),
    ("postgresql://u:a:b:c@h", {"password": "a:b:c"}),
    ("postgresql://u:%40%3A%2F%3F%23%5B%5D%25%26%3D%2B%20%C3%A9@h", {"password": "@:/?#[]%&=+ é"}),
    ("postgresql://u:[x]@h", {"password": "[x]", "host": "h"}),
    ("postgresql://h/my%20db", {"database": "my db"}),
    ("postgresql://u@[::1]:5433/d", {"host": "::1", "port": 5433}),
    ("postgresql://u@[2001:DB8::1]/d", {"host": "2001:db8::1", "port": None}),
    ("postgresql://u@%2Frun%2Fpg:5433/d", {"host": "/run/pg", "port": 5433}),
    ("postgresql://u@/d?host=/run/pg&port=5433", {"host": "/run/pg", "port": 5433, "params": ()}),
    ("postgresql:///d?host=/run/pg", {"host": "/run/pg", "port": None, "database": "d"}),
    (
        "postgresql:///?user=u&password=p%26&dbname=d&host=h",
        {"user": "u", "password": "p&", "host": "h", "database": "d"},
    ),
    ("postgresql://h/d?host=h", {"host": "h"}),
    ("postgresql://h?a=1&&b=%26", {"params": (("a", "1"), ("b", "&"))}),
    ("postgresql://h/d?application_name=a+b=c", {"params": (("application_name", "a+b=c"),)}),
    ("postgresql://h/d?schema=", {"params": (("schema", ""),)}),
]


@pytest.mark.parametrize(("text", "expected"), PARTS, ids=[text.strip() for text, _ in PARTS])
def test_a_spelling_is_read_into_its_parts(text: str, expected: dict[str, object]) -> None:
    url = DatabaseURL.parse(text)
    assert {name: getattr(url, name) for name in expected} == expected
    assert DatabaseURL.parse(url.reveal()) == url


REFUSED = [
    ("", "not a connection URL"),
    ("host=h password=secret", "not a connection URL"),
    ("mysql://u:secret@h/d", "scheme"),
    ("prisma+postgres://h/?api_key=secret", "prisma"),
    ("prisma://h/?api_key=secret", "prisma"),
    ("postgresql://u:se/cret@h/d", "%2F"),
    ("postgresql://u:5/secret@h/d", "%2F"),
    ("postgresql://u:5?secret@h/d", "%3F"),
    ("postgresql://u:secret@h/a/b", "%2F"),
    ("postgresql://u:se#cret@h/d", "%23"),
    ("postgresql://u:secret@h/d?flag", "no ="),
    ("postgresql://u:p@x?secret@h/d", "%3F"),
    ("postgresql://u:p@?=secret", "no name"),
    ("postgresql://u:p@x?a=secret@h/d", "%3F"),
    ("postgresql://u:p@x/secret@h", "%2F"),
    ("postgresql://u:secret@h:port/d", "port is not a number"),
    ("postgresql://u:secret@h:0/d", "65535"),
    ("postgresql://u:secret@h:65536/d", "65535"),
    ("postgresql://u:secret@h:٣/d", "port is not a number"),
    ("postgresql://u:secret@a,b/d", "several hosts"),
    ("postgresql://u:secret@a:1,b:2/d", "several hosts"),
    ("postgresql:///d?host=a,b&password=secret", "several hosts"),
    ("postgresql://u:secret@%2Frun,%2Fvar/d", "several hosts"),
    ("postgresql://u:secret@::1/d", "[ ]"),
    ("postgresql://u:secret@[::1/d", "[::1]"),
    ("postgresql://u:secret@[::1]x/d", "[::1]"),
    ("postgresql://u:secret@h h/d", "host"),
    ("postgresql://u:secret@h/d\n?x=y", "line break"),
    ("postgresql://u:secret%ff@h/d", "UTF-8"),
    ("postgresql://u:secret\udcff@h/d", "UTF-8"),
    ("postgresql://u:secret%00@h/d", "NUL"),
    ("postgresql://u:secret@h/d?password=other", "twice"),
    ("postgresql://h/d?host=other", "twice"),
    ("postgresql://h/d?a=1&a=2", "twice"),
    ("postgresql://h/d?sslmode=secret", "sslmode is not one of"),
    ("postgresql://h/d?sslaccept=secret", "sslaccept is not one of"),
    ("postgresql://h/d?connection_limit=secret", "connection_limit is not a whole number"),
    ("postgresql://h/d?pool_timeout=-1", "pool_timeout is not a whole number"),
    ("postgresql://h/d?connect_timeout=2147483648", "connect_timeout is not a whole number up to 2147483647"),
    (f"postgresql://h/d?socket_timeout={'9' * 5000}", "socket_timeout is not a whole number"),
    (f"postgresql://u:secret@h:{'1' * 5000}/d", "65535"),
    (f"postgresql://u:secret@h/d?port={'1' * 5000}", "65535"),
    ("'postgresql://u:secret@h/d'", "docker --env-file"),
    ('"postgresql://u:secret@h/d"', "quote"),
    ("\u201cpostgresql://u:secret@h/d\u201d", "quote"),
    ("psql 'postgresql://u:secret@h/d?sslmode=require'", "psql command"),
    ("psql postgresql://u:secret@h/d", "psql command"),
    ("psql -h h -U u", "psql command"),
    ("DATABASE_URL=postgresql://u:secret@h/d", "assignment"),
    ('export DATABASE_URL="postgresql://u:secret@h/d"', "assignment"),
    ("host=h user=u password=secret", "assignment"),
    ("jdbc:postgresql://h/d?user=u&password=secret", "JDBC"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_what_cannot_be_used_is_refused_without_repeating_it(text: str, words: str) -> None:
    with pytest.raises(InvalidDatabaseURL) as raised:
        DatabaseURL.parse(text)
    assert words in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "cret" not in str(raised.value).replace("secret", "")
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("postgresql://localhost/d", True),
        ("postgresql://LOCALHOST:1/d", True),
        ("postgresql://127.0.0.1/d", True),
        ("postgresql://127.8.9.10/d", True),
        ("postgresql://[::1]/d", True),
        ("postgresql://[::ffff:127.0.0.1]/d", sys.version_info >= (3, 13)),
        ("postgresql:///d?host=/run/pg", True),
        ("postgresql://%2Frun%2Fpg/d", True),
        ("postgresql:///d", False),
        ("postgresql://0.0.0.0/d", False),
        ("postgresql://10.0.0.1/d", False),
        ("postgresql://127.0.0.1.example.org/d", False),
        ("postgresql://localhost.example.org/d", False),
        ("postgresql://db/d", False),
        ("postgresql://localhost/d?hostaddr=10.0.0.1", False),
        ("postgresql://localhost/d?hostaddr=127.0.0.1", True),
        ("postgresql://localhost/d?service=production", False),
        ("postgresql://ep-a-1.eu.neon.tech/d", False),
    ],
)
def test_local_is_loopback_or_a_socket_and_nothing_else(text: str, local: bool) -> None:
    assert DatabaseURL.parse(text).is_local is local


def test_a_neon_endpoint_has_a_direct_and_a_pooled_host() -> None:
    pooled = DatabaseURL.parse(
        "postgresql://u:p@ep-calm-1-pooler.c-2.eu-central-1.aws.neon.tech/d?pgbouncer=true&sslmode=require"
    )
    direct = DatabaseURL.parse("postgresql://u:p@ep-calm-1.c-2.eu-central-1.aws.neon.tech/d?sslmode=require")
    assert pooled.is_neon
    assert pooled.is_pooled
    assert not direct.is_pooled
    assert pooled.direct() == direct
    assert direct.direct() is direct
    assert direct.pooled() == pooled.copy_merge_params({"pgbouncer": None})
    assert pooled.pooled() is pooled


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "/run/pg", "db.example.org", "my-pooler.example.org", ""])
def test_other_hosts_are_neither_pooled_nor_changed(host: str) -> None:
    url = DatabaseURL(host=host, database="d")
    assert not url.is_neon
    assert not url.is_pooled
    assert url.direct() is url
    assert url.pooled() is url


def test_a_value_is_immutable_and_changed_by_copying() -> None:
    url = DatabaseURL.parse("postgresql://u:p@h/d?a=1&b=2")
    with pytest.raises(AttributeError, match="copy_with"):
        url.host = "other"
    with pytest.raises(AttributeError):
        del url.host
    changed = url.copy_with(host="other", port=1, password="new", params=[("c", "3")])
    assert changed.reveal() == "postgresql://u:new@other:1/d?c=3"
    assert url.reveal() == "postgresql://u:p@h/d?a=1&b=2"
    assert url.copy_merge_params({"a": None, "b": "5", "c": "6"}).params == (("b", "5"), ("c", "6"))
    assert url.get("a") == "1"
    assert url.get("z") is None
    assert url == DatabaseURL.parse("postgres://u:p@h/d?a=1&b=2")
    assert hash(url) == hash(DatabaseURL.parse("postgres://u:p@h/d?a=1&b=2"))
    assert url != changed
    assert url != "postgresql://u:p@h/d?a=1&b=2"
    assert copy.deepcopy(url) is url
    assert copy.copy(url) is url


def test_a_copy_is_checked_like_a_parsed_string() -> None:
    url = DatabaseURL.parse("postgresql://h/d")
    with pytest.raises(TypeError):
        url.copy_with(hots="h")  # type: ignore[call-arg]
    with pytest.raises(InvalidDatabaseURL, match="port"):
        url.copy_with(port=70000)
    with pytest.raises(InvalidDatabaseURL, match="host"):
        url.copy_with(host="h/evil")


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = {"dataclasses", "asyncio", "asyncpg", "psycopg", "ssl", "json", "inspect", "logging"}
    program = f"import sys; import dbclient.url; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
