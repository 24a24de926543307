"""SCRAM-SHA-256-PLUS for a server that has no TLS of its own: the door ends the TLS, so it checks the channel.

A client proves that it knows the password, and over which certificate. The door knows the certificate; the proof it
takes apart with the server's verifier and puts together again for SCRAM-SHA-256 (RFC 5802, section 3). So the server
still decides about the password, the role, its expiry and its limits, and there is no way in that does not need the
password: the door itself cannot log in. It finds what the client must know only in the client's own proof.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.front_door.protocol import Refused, pack, read_message
from emulator.servers.verifier import Verifier

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from emulator.streams import Stream

    ReadVerifier = Callable[[], Awaitable[str | None]]

_PLAIN, _PLUS = b"SCRAM-SHA-256", b"SCRAM-SHA-256-PLUS"
_SASL, _CONTINUE, _FINAL = (struct.pack("!i", code) for code in (10, 11, 12))
_LONGEST = 1024  # bytes of a client's message, as for the server itself (PG_MAX_SASL_MESSAGE_LENGTH)
_PROTOCOL_VIOLATION = "08P01"
_MALFORMED = "malformed SCRAM message"


@dataclass(frozen=True)
class _First:
    """A client's first message: what it says of the channel, and the rest, which both sides sign."""

    flag: bytes
    authorization: bytes
    bare: bytes

    @property
    def header(self) -> bytes:
        return self.flag + b"," + self.authorization + b","

    @property
    def header_without_binding(self) -> bytes:
        return b"n," + self.authorization + b","


async def bind(client: Stream, server: Stream, offer: bytes, end_point: bytes, read_verifier: ReadVerifier) -> None:
    """Carry out what follows a server's AuthenticationSASL (its body is `offer`), with the channel bound if asked.

    Returns when the server's next message is its verdict, or what the client must hear as it is. Raises Refused for what
    PostgreSQL with TLS of its own refuses: a downgrade, another certificate, a message that is none.
    """
    mechanisms = offer[4:].rstrip(b"\0").split(b"\0")
    if not offer.startswith(_SASL) or _PLAIN not in mechanisms:
        await client.send(pack(b"R", offer))
        return
    await client.send(pack(b"R", _SASL + b"".join(name + b"\0" for name in [_PLUS, *mechanisms]) + b"\0"))
    answer = await _answer(client)
    mechanism, _, rest = answer.partition(b"\0")
    first = _first(rest[4:])
    if mechanism != _PLUS:
        if first.flag == b"y":
            raise Refused(
                "SCRAM channel binding negotiation error",
                _PROTOCOL_VIOLATION,
                "The client supports SCRAM channel binding but thinks the server does not. "
                "However, this server does support channel binding.",
            )
        await server.send(pack(b"p", answer))
        return
    _require_end_point(first)
    await server.send(_initial(first.header_without_binding + first.bare))
    kind, challenge = await read_message(server.reader)
    await client.send(pack(kind, challenge))
    if kind == b"R" and challenge.startswith(_CONTINUE):
        await _prove(client, server, first, challenge[4:], end_point, await read_verifier())


async def _prove(
    client: Stream, server: Stream, first: _First, challenge: bytes, end_point: bytes, text: str | None
) -> None:
    """Turn the client's proof into the server's, and the server's signature into the client's."""
    signed, _, proof = (await _answer(client)).rpartition(b",p=")
    binding, _, rest = signed.partition(b",")
    if not binding.startswith(b"c=") or not rest:
        raise Refused(_MALFORMED, _PROTOCOL_VIOLATION)
    if not hmac.compare_digest(binding[2:], base64.b64encode(first.header + end_point)):
        raise Refused("SCRAM channel binding check failed", "28000")
    shown = b",".join((first.bare, challenge, signed))
    unbound = b"c=" + base64.b64encode(first.header_without_binding) + b"," + rest
    passed_on = b",".join((first.bare, challenge, unbound))
    verifier = _of_this_challenge(Verifier.parse(text), challenge)
    await server.send(pack(b"p", unbound + b",p=" + base64.b64encode(_convert(verifier, proof, shown, passed_on))))
    kind, verdict = await read_message(server.reader)
    if kind == b"R" and verdict.startswith(_FINAL) and verifier is not None:
        if not hmac.compare_digest(verdict[4:], _signature(verifier, passed_on)):
            raise Refused("the server of this endpoint does not know the password: it is another one", "08006")
        verdict = _FINAL + _signature(verifier, shown)
    await client.send(pack(kind, verdict))


def _convert(verifier: Verifier | None, proof: bytes, shown: bytes, passed_on: bytes) -> bytes:
    """The client's proof over `shown` as one over `passed_on`; one that the server refuses where that cannot be."""
    try:
        given = base64.b64decode(proof, validate=True)
    except ValueError:
        raise Refused(_MALFORMED, _PROTOCOL_VIOLATION) from None
    if len(given) != hashlib.sha256().digest_size:
        raise Refused(_MALFORMED, _PROTOCOL_VIOLATION)
    if (
        verifier is None
    ):  # no role, no password, or one that was changed this moment: the server says what it always says
        return secrets.token_bytes(len(given))
    client_key = _xor(given, hmac.digest(verifier.stored_key, shown, "sha256"))
    return _xor(client_key, hmac.digest(verifier.stored_key, passed_on, "sha256"))


def _of_this_challenge(verifier: Verifier | None, challenge: bytes) -> Verifier | None:
    if verifier is None:
        return None
    salt = base64.b64encode(verifier.salt)
    return verifier if challenge.endswith(b",s=%b,i=%d" % (salt, verifier.iterations)) else None


def _signature(verifier: Verifier, message: bytes) -> bytes:
    return b"v=" + base64.b64encode(hmac.digest(verifier.server_key, message, "sha256"))


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _initial(message: bytes) -> bytes:
    return pack(b"p", _PLAIN + b"\0" + struct.pack("!i", len(message)) + message)


async def _answer(client: Stream) -> bytes:
    kind, body = await read_message(client.reader, _LONGEST)
    if kind != b"p":
        raise Refused(f"expected SASL response, got message type {kind[0]}", _PROTOCOL_VIOLATION)
    return body


def _first(message: bytes) -> _First:
    parts = message.split(b",", 2)
    if len(parts) != 3:
        raise Refused(_MALFORMED, _PROTOCOL_VIOLATION)
    return _First(*parts)


def _require_end_point(first: _First) -> None:
    kind, _, name = first.flag.partition(b"=")
    if kind != b"p":
        raise Refused(
            _MALFORMED,
            _PROTOCOL_VIOLATION,
            "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.",
        )
    if name != b"tls-server-end-point":
        shown = name.decode(errors="replace")
        raise Refused(f'unsupported SCRAM channel-binding type "{shown}"', _PROTOCOL_VIOLATION)
