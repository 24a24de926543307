"""Requests that no client of ours sends, to a server that must outlive them: the same for both examples."""

from __future__ import annotations

import json
import random
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

LARGEST_BODY = 1 << 20
# What an answer may say to a client. 501 and 505 are uvicorn's and Node's own, for HTTP that they do not speak.
EXPLAINED = {200, 201, 400, 404, 405, 408, 411, 413, 414, 415, 417, 422, 426, 431, 501, 505}
# Words of the inside: of the database, its drivers, its tables, the program.
INSIDE = ("prisma", "asyncpg", "postgres", "Message_", "constraint", "Traceback", "/node_modules/", "at async", ".py")

CLOSE = "connection: close\r\n\r\n"
CHUNKED = "transfer-encoding: chunked\r\n"
LONG = f"x: {'y' * 70_000}\r\n"

BODIES: list[bytes] = [
    b"",
    b"{",
    b"nonsense",
    b"null",
    b"5",
    b'"x"',
    b"true",
    b"[]",
    b"[1]",
    b"[null]",
    b"[[]]",
    b"{}",
    b"NaN",
    b'{"role": "human"}',
    b'{"content": "x"}',
    b'{"role": "robot", "content": "x"}',
    b'{"role": null, "content": "x"}',
    b'{"role": ["human"], "content": "x"}',
    b'{"role": {"a": 1}, "content": "x"}',
    b'{"role": "human", "content": 5}',
    b'{"role": "human", "content": null}',
    b'{"role": "human", "content": ["x"]}',
    b'{"role": "human", "content": {"x": 1}}',
    b'{"role": "human", "content": "a\\u0000b"}',
    b'{"role": "human", "content": "a\\ud800b"}',
    b'{"role": "human", "content": "\xff"}',
    b'{"__proto__": {"role": "human"}, "constructor": 1}',
    b'{"role": "toString", "content": "x"}',
    b"[" * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b'{"role": "human", "content": ' + b"9" * 100_000 + b"}",
    b'{"role": "human", "content": "' + b"x" * LARGEST_BODY + b'"}',
]
PATHS = [
    "/",
    "//",
    "///threads",
    "//threads//messages",
    "/threads/",
    "/threads//messages",
    "/threads/x/messages",
    "/threads/%00/messages",
    "/threads/%ff/messages",
    "/threads/%/messages",
    "/threads/../../etc/passwd",
    "/toString",
    "/constructor",
    "/__proto__",
    "/threads/00000000-0000-0000-0000-000000000000",
    "/thread?" + "a" * 4000,
]


@dataclass(frozen=True)
class Address:
    """Where the server listens."""

    host: str
    port: int


def refused_bodies(client: httpx.Client, path: str) -> dict[bytes, tuple[int, Any]]:
    """What each wrong body is answered with."""
    answers = {}
    for body in BODIES:
        response = client.post(path, content=body, headers={"content-type": "application/json"})
        look_at(response.status_code, response.text)
        answers[body] = (response.status_code, response.json())
    return answers


def refused_paths(client: httpx.Client, address: Address) -> None:
    """Paths and methods that do not exist are said not to."""
    for path in PATHS:
        for method in ("GET", "POST"):
            answer = exchange(address, f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n{CLOSE}".encode())
            assert status_of(answer) in {400, 404, 405, 307}, (path, answer)
            look_at(status_of(answer), answer.decode("latin-1"))
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        assert client.request(method, "/threads").status_code == 405


def shoot(address: Address, path: str, *, seed: int, shots: int) -> None:
    """Send mutated requests, and go away in the middle of some of them."""
    chance = random.Random(seed)  # noqa: S311 - the same shots each time
    for request in _mutated(chance, path, shots):
        how = chance.random()
        if how < 0.3:
            _reset(address, request[: chance.randrange(len(request) + 1)])
        else:
            answer = exchange(address, request, timeout=0.2)
            if answer:
                look_at(status_of(answer), answer.decode("latin-1"))


def look_at(status: int, text: str) -> None:
    """Refuse an answer that a client should never see."""
    assert status in EXPLAINED | {307}, f"{status}: {text[:300]}"
    for word in INSIDE:
        assert word.lower() not in text.lower(), text[:300]


def exchange(address: Address, request: bytes, *, timeout: float = 30) -> bytes:
    """Send bytes and read what comes, until the server closes the connection or the client's timeout (seconds) passes."""
    answer = b""
    with socket.create_connection((address.host, address.port), 10) as link:
        link.settimeout(timeout)
        try:
            link.sendall(request)
            while piece := link.recv(1 << 16):
                answer += piece
        except (ConnectionError, TimeoutError):
            return answer
    return answer


def status_of(answer: bytes) -> int:
    """The status in an answer's first line."""
    assert answer.startswith(b"HTTP/1."), answer
    return int(answer.split(b" ", 2)[1])


def _reset(address: Address, start: bytes) -> None:
    """Send a part of a request and go away with a RST."""
    with socket.create_connection((address.host, address.port), 10) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.sendall(start)


def _mutated(chance: random.Random, path: str, shots: int) -> Iterator[bytes]:
    good = json.dumps({"role": "human", "content": "é" * 20}).encode()
    for _ in range(shots):
        body = bytearray(chance.choice([good, *BODIES[:25]]))
        for _ in range(chance.randrange(4)):
            if body:
                body[chance.randrange(len(body))] = chance.randrange(256)
        head = bytearray(
            f"{chance.choice(['POST', 'POST', 'GET', 'PUT', 'X' * 30])} "
            f"{chance.choice([path, path, path.replace(path[9:45], str(uuid4())), *PATHS])} "
            f"HTTP/1.{chance.choice('1110')}\r\nhost: x\r\n"
            f"content-length: {chance.choice([*[len(body)] * 8, len(body) + 3, -1, 10**30])}\r\n"
            f"{chance.choice(['', '', '', CHUNKED, LONG])}{CLOSE}".encode("latin-1")
        )
        if chance.random() < 0.3:
            head[chance.randrange(len(head))] = chance.randrange(256)
        yield bytes(head + body)
