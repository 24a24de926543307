"""Between the text of a connection string and its parts.

`urllib.parse.urlsplit` is not used: it drops tabs and newlines, its errors quote the password, and it has no place for
a socket's folder as host. The rules are libpq's (PostgreSQL manual, "Connection URIs"), with two leniencies that
node-postgres and yoyo have: a raw `@` in the password, and a `%` that starts no escape.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from dbclient.errors import InvalidDatabaseURL

SCHEMES = frozenset(
    {
        "postgres",
        "postgresql",
        "postgresql+psycopg",
        "postgresql+psycopg2",
        "postgresql+asyncpg",
        "postgres+psycopg",
        "postgres+asyncpg",
    }
)
PRISMA_SCHEMES = frozenset({"prisma", "prisma+postgres"})


_QUOTES = ("'", '"', "`", "\u2018", "\u2019", "\u201c", "\u201d")


def split(text: str) -> tuple[dict[str, str | None], list[tuple[str, str]]]:
    """Take a connection string apart: user, password, host, port and database by name, and the parameters, decoded."""
    authority, path, query = _split_outer(_without_scheme(text.strip()))
    if "@" in path + query:
        # It may belong to the password, whose rest would then be shown as if it were a database or a parameter.
        raise InvalidDatabaseURL(
            "a / or ? stands raw in the password (write %2F, %3F), or an @ after the host (write %40)"
        )
    userinfo, _, hostport = authority.rpartition("@")
    user, _, password = userinfo.partition(":")
    host, port = _split_hostport(hostport)
    if "/" in path:
        raise InvalidDatabaseURL("a / stands raw in the password or in the database's name; write %2F")
    parts: dict[str, str | None] = {
        "user": decode(user),
        "password": decode(password),
        "host": decode(host),
        "port": port,
        "database": decode(path),
    }
    return parts, [_split_parameter(pair) for pair in query.split("&") if pair]


def decode(text: str) -> str:
    """Percent-decoded text; `+` stays `+`, as in libpq. Text that cannot be a PostgreSQL string is refused."""
    decoded = unquote(text, errors="surrogateescape")
    if any("\ud800" <= character <= "\udfff" for character in decoded):
        raise InvalidDatabaseURL("a percent-escape is not UTF-8")
    return decoded


def encode(text: str, safe: str = "") -> str:
    """Percent-encoded text that every client reads back as it was: a space is %20, a plus is %2B."""
    return quote(text, safe=safe)


def encode_query(pairs: list[tuple[str, str]]) -> str:
    """`?a=b&c=d`, or nothing."""
    return "?" + "&".join(f"{encode(key)}={encode(value, safe='/')}" for key, value in pairs) if pairs else ""


def _without_scheme(text: str) -> str:
    _refuse_wrapping(text)
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise InvalidDatabaseURL("not a connection URL; write postgresql://user:password@host:5432/database")
    if scheme.lower() in PRISMA_SCHEMES:
        raise InvalidDatabaseURL(
            "a prisma:// or prisma+postgres:// URL leads to Prisma's own HTTP proxy, not to PostgreSQL; "
            "use the server's postgresql:// URL"
        )
    if scheme.lower() not in SCHEMES:
        raise InvalidDatabaseURL("the scheme is not postgresql:// or postgres://")
    if any(character < " " or character == "\x7f" for character in rest):
        raise InvalidDatabaseURL("a control character or line break stands in it; write it percent-encoded")
    if "#" in rest:
        raise InvalidDatabaseURL("a # stands raw in it (in the password?); write %23")
    return rest


def _refuse_wrapping(text: str) -> None:
    """Name what a URL was copied with: quotes that nobody took off, a command, a line of an env file."""
    first = text.partition("://")[0].lower()
    if text.startswith(_QUOTES):
        raise InvalidDatabaseURL(
            "a quote stands before it: take the quotes off (docker --env-file and systemd-like readers keep them)"
        )
    if first.split()[:1] == ["psql"]:
        raise InvalidDatabaseURL("it is a psql command; give only the URL, without psql and without quotes")
    if "=" in first.partition("postgres")[0]:
        raise InvalidDatabaseURL(
            "not a connection URL but an assignment (a line of an env file, or libpq's host=… user=…); "
            "give only the URL, without a name and quotes"
        )
    if first.startswith("jdbc:"):
        raise InvalidDatabaseURL("it is a JDBC URL; write postgresql://user:password@host:5432/database")


def _split_outer(rest: str) -> tuple[str, str, str]:
    before_query, _, query = rest.partition("?")
    authority, _, path = before_query.partition("/")
    return authority, path, query


def _split_hostport(hostport: str) -> tuple[str, str]:
    if hostport.startswith("["):
        host, bracket, tail = hostport[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise InvalidDatabaseURL("an IPv6 address is written as [::1] or [::1]:5432")
        return host, tail[1:]
    if "," in hostport:
        raise InvalidDatabaseURL("it names several hosts; give the one that this service shall use")
    host, _, port = hostport.partition(":")
    if ":" in port:
        raise InvalidDatabaseURL(
            "more than one : after the host; put an IPv6 address in [ ], and write : in a password %3A"
        )
    return host, port


def _split_parameter(pair: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not equals or not name:
        raise InvalidDatabaseURL("a parameter after the ? has no name or no =; if the password holds a ?, write %3F")
    return decode(name), decode(value)
