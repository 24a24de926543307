"""What every connection string has: a server, a database on it, who connects, and with which parameters."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from dbclient.errors import InvalidDatabaseURL
from dbclient.url.checks import check_host, check_parameters, check_port, check_text, shown_value, to_whole_number
from dbclient.url.sealed import Sealed
from dbclient.url.text import encode, encode_query, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Self, TypedDict, Unpack

    class Changes(TypedDict, total=False):
        """What `copy_with` changes."""

        user: str | None
        password: str | None
        host: str
        port: int | None
        database: str | None
        params: Iterable[tuple[str, str]]


# libpq reads these from the query as well as from their places before it.
_PLACES = {
    "user": "user",
    "password": "password",
    "host": "host",
    "port": "port",
    "dbname": "database",
    "database": "database",
}


class URLParts(Sealed):
    """A connection string, taken apart. Immutable, comparable, hashable; `repr` and `str` mask every secret.

    `host` is a name, an address without brackets, the folder of a socket, or empty when the string names none. `port`
    and `database` are None when the string leaves them to the client. `params` are the rest, decoded, in their order.
    """

    __slots__ = ("database", "host", "params", "password", "port", "user")

    user: str | None
    password: str | None
    host: str
    port: int | None
    database: str | None
    params: tuple[tuple[str, str], ...]

    def __init__(
        self,
        *,
        host: str = "",
        port: int | None = None,
        user: str | None = None,
        password: str | None = None,
        database: str | None = None,
        params: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._set(
            user=check_text(user),
            password=check_text(password),
            host=check_host(host),
            port=check_port(port),
            database=check_text(database),
            params=check_parameters(params),
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a connection string in the spelling of libpq, Prisma, Neon, SQLAlchemy or yoyo.

        Raises InvalidDatabaseURL, whose message never repeats any of the text.
        """
        parts, pairs = split(text)
        params = []
        for name, value in pairs:
            place = _PLACES.get(name)
            if place is None:
                params.append((name, value))
            elif parts[place] and parts[place] != value:
                raise InvalidDatabaseURL(f"it gives the {place} twice, before the ? and after it")
            else:
                parts[place] = value
        return cls(
            user=parts["user"],
            password=parts["password"],
            host=parts["host"] or "",
            port=_to_port(parts["port"]),
            database=parts["database"],
            params=params,
        )

    def get(self, name: str) -> str | None:
        """Give the value of a parameter, or None."""
        return next((value for key, value in self.params if key == name), None)

    def copy_with(self, **changes: Unpack[Changes]) -> Self:
        """Make a copy with some of user, password, host, port, database and params replaced."""
        kept: dict[str, Any] = {name: getattr(self, name) for name in URLParts.__slots__}
        kept.update(changes)
        return type(self)(**kept)

    def copy_merge_params(self, changes: Mapping[str, str | None]) -> Self:
        """Make a copy with some parameters set, or removed where the value is None."""
        merged: dict[str, str | None] = {**dict(self.params), **changes}
        return self.copy_with(params=[(name, value) for name, value in merged.items() if value is not None])

    def reveal(self) -> str:
        """Render the whole URL with its password. `parse` reads it back to an equal value."""
        return self.render(params=self.params)

    def masked(self) -> str:
        """Render the URL with *** for the password and for every parameter that holds a secret."""
        return self.render(params=self.params, masked=True)

    def render(
        self,
        *,
        params: Iterable[tuple[str, str]],
        scheme: str = "postgresql",
        masked: bool = False,
        database: bool = True,
        raw_in_name: str = "",
    ) -> str:
        """Render with other parameters and scheme: as the clients need it.

        A socket's folder goes into the query (`host=/dir`), where every client finds it; so does a port without a host.
        `raw_in_name` are characters that this client does not decode in the database's name.
        """
        place = f"[{encode(self.host, safe=':')}]" if ":" in self.host else self.host
        query = [(name, shown_value(name, value) if masked else value) for name, value in params]
        if self.host.startswith(("/", "@")) or not self.host:
            place = ""
            query = [("host", self.host)] * bool(self.host) + [("port", str(self.port))] * bool(self.port) + query
        elif self.port:
            place = f"{place}:{self.port}"
        secret = "" if self.password is None else ":***" if masked else ":" + encode(self.password)
        who = f"{encode(self.user or '')}{secret}@" if self.user or secret else ""
        name = encode(self.database, raw_in_name) if self.database and database else ""
        text = encode_query(query)
        return f"{scheme}://{who}{place}/{name}{text.replace('%2A%2A%2A', '***') if masked else text}"

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine: a loopback address, localhost or a socket's folder.

        An empty host is not: libpq and asyncpg then follow PGHOST, wherever it leads.
        """
        return _is_local(self.host) and _is_local(self.get("hostaddr") or self.host) and self.get("service") is None

    @property
    def is_neon(self) -> bool:
        """Whether the host is one of Neon's."""
        return self.host.endswith(".neon.tech")

    @property
    def is_pooled(self) -> bool:
        """Whether the host is the pooled one of a Neon endpoint: `ep-…-pooler.…`."""
        label = self.host.partition(".")[0]
        return label.endswith("-pooler") and (self.is_neon or label.startswith("ep-"))

    def direct(self) -> Self:
        """Give the same endpoint without Neon's pooler; itself where the host is not a pooled one."""
        if not self.is_pooled:
            return self
        label, dot, domain = self.host.partition(".")
        return self.copy_merge_params({"pgbouncer": None}).copy_with(host=label.removesuffix("-pooler") + dot + domain)

    def pooled(self) -> Self:
        """Give the same endpoint through Neon's pooler; itself where the host is not one of Neon's."""
        label, dot, domain = self.host.partition(".")
        if self.is_pooled or not (self.is_neon or (label.startswith("ep-") and dot)):
            return self
        return self.copy_with(host=f"{label}-pooler{dot}{domain}")

    def __str__(self) -> str:
        return self.masked()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.masked()!r})"

    def _values(self) -> tuple[object, ...]:
        return (self.user, self.password, self.host, self.port, self.database, self.params)

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, URLParts) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._values())


def _to_port(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise InvalidDatabaseURL(
            "the port is not a number; if the password holds : / ? # or @, write it percent-encoded"
        )
    return to_whole_number(text) or 0  # 0 for what no port can be: check_port says so


def _is_local(host: str) -> bool:
    if host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
