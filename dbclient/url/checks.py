"""What a part of a connection string may be. Each check returns the value to keep, or raises InvalidDatabaseURL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbclient.errors import InvalidDatabaseURL
from dbclient.url.protection import check_protection

if TYPE_CHECKING:
    from collections.abc import Iterable

_WHOLE_NUMBERS = ("connection_limit", "pool_timeout", "connect_timeout", "socket_timeout", "statement_cache_size")
_LARGEST = 2**31 - 1  # what libpq's numbers and the timers of every client hold
_SECRET_WORDS = ("password", "secret", "token", "api_key")
_SECRET_NAMES = frozenset({"scram_client_key", "scram_server_key"})


def check_text(text: str | None) -> str | None:
    """Check a user, password or database name. None for an empty one, as in libpq."""
    if text and any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
        raise InvalidDatabaseURL("PostgreSQL's names and passwords hold no NUL and no lone surrogate")
    return text or None


def check_host(host: str) -> str:
    """Check a host. A name or address comes back in lower case, the folder of a socket as it is."""
    check_text(host)
    if host.startswith(("/", "@")):
        if "," in host:
            raise InvalidDatabaseURL("the folder of a socket holds a comma, which libpq takes for a list of hosts")
        return host
    if "," in host:
        raise InvalidDatabaseURL("it names several hosts; give the one that this service shall use")
    if any(character in "/?#@[]\\\"'<>" or character <= " " or character == "\x7f" for character in host):
        raise InvalidDatabaseURL("the host holds a character that no host name has")
    return host.lower()


def check_port(port: int | None) -> int | None:
    """Check a TCP port, or None."""
    if port is not None and not 0 < port < 65536:
        raise InvalidDatabaseURL("the port is not between 1 and 65535")
    return port


def check_parameters(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Check the parameters: each name once, each value of its kind."""
    checked = tuple((str(name), str(value)) for name, value in pairs)
    for name, value in checked:
        check_text(name)
        check_text(value)
        if name in _WHOLE_NUMBERS and to_whole_number(value) is None:
            raise InvalidDatabaseURL(f"{name} is not a whole number up to {_LARGEST}")
    if len({name for name, _ in checked}) < len(checked):
        raise InvalidDatabaseURL("a parameter is given twice")
    check_protection(checked)
    return checked


def to_whole_number(text: str) -> int | None:
    """Read a number of ASCII digits; None for anything else, and beyond 2^31 - 1. int() refuses more than 4,300 digits."""
    digits = text.lstrip("0") or text[-1:]
    if not (text.isascii() and text.isdigit()) or len(digits) > len(str(_LARGEST)) or int(digits) > _LARGEST:
        return None
    return int(digits)


def shown_value(name: str, value: str) -> str:
    """Give a parameter's value as logs may show it."""
    secret = name.lower() in _SECRET_NAMES or any(word in name.lower() for word in _SECRET_WORDS)
    return "***" if secret else value
