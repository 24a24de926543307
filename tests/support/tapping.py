"""What a client sends, read on its way to the server: the statements, and which of their parameters were NULL.

The bytes of the protocol themselves, whichever client it is: no log, setting or extension of a server is needed, and none of
a client's own events is believed. No value of a parameter is kept.
"""

from __future__ import annotations

import struct
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.rehearsal.compatibility.catalogue import is_planned
from tests.support.counting_proxy import CountingProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from tests.support.counting_proxy import Link


@dataclass
class Tapped:
    """A statement that was sent, from where, and what was seen of its parameters."""

    sql: str
    sources: set[str] = field(default_factory=set)
    nulls: set[int] = field(default_factory=set)
    worked: bool = False  # the server answered it at least once without an error


@dataclass
class _Conversation:
    """What is known of one connection: its prepared statements, and what was sent since the last answer was complete."""

    prepared: dict[bytes, str] = field(default_factory=dict)
    sent: list[Tapped] = field(default_factory=list)
    unanswered: deque[list[Tapped]] = field(default_factory=deque)
    heard: bytes = b""
    failed: bool = False
    has_started: bool = False


class Tap:
    """Between clients and a server. `source` names who sends at the moment; while it is empty nothing is noted."""

    def __init__(self, proxy: CountingProxy) -> None:
        self.source = ""
        self._found: dict[str, Tapped] = {}
        self._conversations: dict[int, _Conversation] = {}
        self._proxy = proxy
        proxy.sent = self._sent
        proxy.heard = self._heard

    def url(self, database: DatabaseURL) -> DatabaseURL:
        """The database's URL, through the tap."""
        through = database.copy_with(host="127.0.0.1", port=self._proxy.port)
        return through.copy_merge_params({"sslmode": "disable"})

    def statements(self) -> list[Tapped]:
        """What worked, in the order in which it was sent first: no BEGIN, no SET, and nothing that changes the schema."""
        return [each for each in self._found.values() if each.worked and is_planned(each.sql)]

    def _sent(self, link: Link, message: bytes) -> None:
        known = self._conversations.setdefault(id(link), _Conversation())
        kind, body = message[:1], message[5:]
        if kind == b"P":
            name, query, _ = body.split(b"\0", 2)
            known.prepared[name] = query.decode()
        elif kind == b"B":
            _, name, rest = body.split(b"\0", 2)
            self._note(known, known.prepared[name], set(_nulls(rest)))
        elif kind == b"Q":
            self._note(known, body.rstrip(b"\0").decode(), set())
        if kind in {b"Q", b"S"}:
            known.unanswered.append(known.sent)
            known.sent = []

    def _note(self, known: _Conversation, sql: str, nulls: set[int]) -> None:
        if self.source:
            tapped = self._found.setdefault(sql, Tapped(sql))
            tapped.sources.add(self.source)
            tapped.nulls |= nulls
            known.sent.append(tapped)

    def _heard(self, link: Link, data: bytes) -> None:
        known = self._conversations.setdefault(id(link), _Conversation())
        known.heard += data
        while len(known.heard) >= 5 and len(known.heard) > (length := struct.unpack("!I", known.heard[1:5])[0]):
            kind, known.heard = known.heard[:1], known.heard[1 + length :]
            if kind == b"E":
                known.failed = True
            elif kind == b"Z":  # ready for query: of the start-up, then of each Sync and Query
                if known.has_started and known.unanswered:
                    for tapped in known.unanswered.popleft():
                        tapped.worked = tapped.worked or not known.failed
                known.has_started, known.failed = True, False


@contextmanager
def tap(database: DatabaseURL) -> Iterator[Tap]:
    """Listen on a port of its own while inside."""
    with CountingProxy(database.host or "127.0.0.1", database.port or 5432) as proxy:
        yield Tap(proxy)


def _nulls(bind: bytes) -> Iterator[int]:
    """The numbers of the parameters that are NULL: behind the formats each has its length, or -1."""
    at = 2 + 2 * struct.unpack("!H", bind[:2])[0]
    count, at = struct.unpack("!H", bind[at : at + 2])[0], at + 2
    for number in range(1, count + 1):
        length = struct.unpack("!i", bind[at : at + 4])[0]
        at += 4 + max(length, 0)
        if length < 0:
            yield number
