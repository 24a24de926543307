"""A way to the server that counts what goes over it and takes time, in a process of its own.

Its threads would otherwise take turns with the process that measures. Run as a program it prints its port; then for each
line on standard input a line with the counts since the one before.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from benchmarks.checkout import ROOT
from tests.support.counting_proxy import CountingProxy, Link

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL


@dataclass(frozen=True, slots=True)
class Traffic:
    """How often a tool waited for the server, over how many connections, and how many statements the server completed."""

    waits: int
    connections: int
    statements: int


class CountedLink:
    """The other end of such a process. Use it as a context manager."""

    def __init__(self, server: DatabaseURL, *, round_trip: float) -> None:
        self.round_trip = round_trip
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.link", server.host, str(server.port), str(round_trip)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._port = int(self._ask())

    def lead_to(self, database: DatabaseURL) -> DatabaseURL:
        """The same database over this link."""
        return database.copy_with(host="127.0.0.1", port=self._port)

    def counted(self) -> Traffic:
        """What went over it since this was asked last."""
        return Traffic(**json.loads(self._ask("counts\n")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def _ask(self, line: str = "") -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the counting link ended")
        return answer


class _Statements:
    """Counts the server's CommandComplete messages in what it sends over each connection."""

    def __init__(self) -> None:
        self.count = 0
        self._rest: dict[int, bytes] = {}

    def __call__(self, link: Link, data: bytes) -> None:
        key = id(link)
        if key not in self._rest and data == b"N":  # the answer to the question for TLS has no length
            return
        data = self._rest.get(key, b"") + data
        at = 0
        while at + 5 <= len(data):
            length = 1 + int.from_bytes(data[at + 1 : at + 5])
            if at + length > len(data):
                break
            self.count += data[at : at + 1] == b"C"
            at += length
        self._rest[key] = data[at:]


def _serve(host: str, port: int, round_trip: float) -> None:
    statements = _Statements()
    with CountingProxy(host, port, round_trip=round_trip) as proxy:
        proxy.heard = statements
        print(proxy.port, flush=True)
        before = Traffic(0, 0, 0)
        for _ in sys.stdin:
            now = Traffic(proxy.waits, proxy.connections, statements.count)
            counts = {name: getattr(now, name) - getattr(before, name) for name in Traffic.__slots__}
            print(json.dumps(counts), flush=True)
            before = now


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
