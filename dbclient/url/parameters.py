"""Which parameters a client has been given, and which are left over."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbclient.url.parts import URLParts


# What Neon's proxy takes for itself and does not pass on: https://neon.com/docs/connect/connection-errors
_NEONS = ("endpoint=", "project=", "neon_")


class Parameters:
    """The parameters of a URL while they are handed out to one client, one by one: an allow-list by construction."""

    def __init__(self, url: URLParts) -> None:
        self._values = {name: value for name, value in url.params if value}
        self._order = [name for name, _ in url.params]
        self._left_out: set[str] = set()

    def take(self, name: str) -> str | None:
        """Hand out a parameter; None when it is absent or empty."""
        return self._values.pop(name, None)

    def take_number(self, name: str) -> int | None:
        """Hand out a whole number."""
        value = self.take(name)
        return None if value is None else int(value)

    def take_all(self, names: Iterable[str]) -> list[tuple[str, str]]:
        """Hand out those of the names that are there, unchanged."""
        return [(name, value) for name in names if (value := self.take(name)) is not None]

    def leave_out(self, name: str) -> None:
        """Say that a parameter which was taken has no equivalent after all."""
        self._left_out.add(name)

    def left_out(self) -> tuple[str, ...]:
        """Name what was not handed out, in the URL's order."""
        return tuple(name for name in self._order if name in self._values or name in self._left_out)


def is_behind_pooler(url: URLParts) -> bool:
    """Say whether a transaction-mode pooler is between: it refuses start-up settings and loses prepared statements."""
    return url.is_pooled or (url.get("pgbouncer") or "").lower() in {"true", "1", "on", "yes"}


def take_neon_options(parameters: Parameters, *, pooler: bool) -> str | None:
    """Hand out `options`; through a pooler only Neon's own words in it (`endpoint=…`), since `-c …` is refused there."""
    options = parameters.take("options")
    if not options or not pooler:
        return options
    words = _split_options(options)
    kept = [word for word in words if word.startswith(_NEONS)]
    if len(kept) < len(words):
        parameters.leave_out("options")
    return " ".join(kept) or None


def _split_options(options: str) -> list[str]:
    """Split where the server does: at white space that has no backslash before it (postgres.c, pg_split_opts)."""
    return re.findall(r"(?:\\.|[^\s\\])+", options, re.ASCII | re.DOTALL)
