"""The few messages of PostgreSQL's protocol 3.0 that a proxy must understand (documentation, "Message Formats")."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
CANCEL_REQUEST = 80877102
_LARGEST_STARTUP = 10_000
_NEWEST = 3 << 16  # the protocol that the servers speak
# How a client without SNI names its endpoint to Neon's proxy, which keeps it to itself ("Connection errors").
_ENDPOINT_OPTION = re.compile(r"(?<!\S)(?:endpoint|project)=\S*\s*")


class ProtocolError(Exception):
    """The client or the server said something that is not the protocol."""


class Refused(Exception):
    """The session ends with this error, which goes to the client."""

    def __init__(self, message: str, sqlstate: str = "08006", detail: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.detail = detail


@dataclass(frozen=True)
class Startup:
    """A client's first packet: its code (a protocol version or a request) and what follows."""

    code: int
    body: bytes

    @property
    def parameters(self) -> dict[str, str]:
        """The start-up parameters of a session."""
        return {name.decode(errors="replace"): value.decode(errors="replace") for name, value in self._pairs()}

    def for_server(self) -> tuple[Startup, bytes]:
        """The packet as PostgreSQL 16 and PgBouncer understand it, and what the client must be told of that first.

        A client may ask for a newer 3.x protocol and for options of it; a server that does not know them says so
        (documentation, NegotiateProtocolVersion). Neon's own way to name an endpoint in `options` is not for the server.
        """
        if self.code >> 16 != _NEWEST >> 16:
            return self, b""
        told, pairs = [], []
        for name, value in self._pairs():
            if name.startswith(b"_pq_."):
                told.append(name)
            elif name == b"options":
                options = _ENDPOINT_OPTION.sub("", value.decode("latin-1")).encode("latin-1")
                pairs += [(name, options)] if options else []
            else:
                pairs.append((name, value))
        newer = self.code > _NEWEST
        if not newer and pairs == self._pairs():
            return self, b""
        body = b"".join(name + b"\0" + value + b"\0" for name, value in pairs) + b"\0"
        answer = struct.pack("!ii", _NEWEST, len(told)) + b"".join(name + b"\0" for name in told)
        return Startup(_NEWEST, body), pack(b"v", answer) if newer or told else b""

    def _pairs(self) -> list[tuple[bytes, bytes]]:
        words = self.body.split(b"\0")
        return [(name, value) for name, value in zip(words[::2], words[1::2], strict=False) if name]

    def pack(self) -> bytes:
        """The packet as it is sent."""
        return struct.pack("!ii", len(self.body) + 8, self.code) + self.body


@dataclass(frozen=True)
class Key:
    """BackendKeyData: what a cancel request must show."""

    pid: int
    secret: int

    def pack(self) -> bytes:
        """As the server's message."""
        return b"K" + struct.pack("!iiI", 12, self.pid, self.secret)

    def cancel_request(self) -> bytes:
        """As a client's request."""
        return struct.pack("!iiiI", 16, CANCEL_REQUEST, self.pid, self.secret)

    @classmethod
    def unpack(cls, body: bytes) -> Key:
        """From eight bytes of either message."""
        if len(body) != 8:
            raise ProtocolError(f"a cancel key of {len(body)} bytes")
        pid, secret = struct.unpack("!iI", body)
        return cls(pid, secret)


async def read_startup(reader: asyncio.StreamReader) -> Startup:
    """The next packet of a client that has not started a session."""
    length, code = struct.unpack("!ii", await reader.readexactly(8))
    if not 8 <= length <= _LARGEST_STARTUP:
        raise ProtocolError(f"a start-up packet of {length} bytes")
    return Startup(code, await reader.readexactly(length - 8))


async def read_message(reader: asyncio.StreamReader, longest: int = 1 << 30) -> tuple[bytes, bytes]:
    """The next message of a session: its type and its body, of at most `longest` bytes."""
    head = await reader.readexactly(5)
    (length,) = struct.unpack("!i", head[1:])
    if not 4 <= length <= longest + 4:
        raise ProtocolError(f"a message of {length} bytes")
    return head[:1], await reader.readexactly(length - 4)


def pack(kind: bytes, body: bytes) -> bytes:
    """A message as it is sent."""
    return kind + struct.pack("!i", len(body) + 4) + body


def fatal(reason: Refused) -> bytes:
    """An error that ends the session."""
    fields = [b"SFATAL", b"VFATAL", b"C" + reason.sqlstate.encode(), b"M" + str(reason).encode()]
    if reason.detail:
        fields.append(b"D" + reason.detail.encode())
    return pack(b"E", b"\0".join(fields) + b"\0\0")
