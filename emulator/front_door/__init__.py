"""The proxy before one endpoint.

It stays when the server sleeps, and wakes it for a connection. As Neon's proxy does, it shows each client a process id
and a cancel key of its own making, so a client cannot take the id of the connection for pg_backend_pid().
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from emulator.front_door.channel_binding import bind
from emulator.front_door.protocol import (
    CANCEL_REQUEST,
    GSS_REQUEST,
    SSL_REQUEST,
    Key,
    ProtocolError,
    Refused,
    Startup,
    fatal,
    pack,
    read_message,
    read_startup,
)
from emulator.streams import Stream, pump, splice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from emulator.certificates import ServerTls

_LOST = (ConnectionError, asyncio.IncompleteReadError, ProtocolError, OSError, TimeoutError)

_AUTHENTICATION_SECONDS = 60.0  # authentication_timeout of the server


class Closed(Refused):
    """The compute takes no connections now."""


class FrontDoor:
    """A listener on one loopback port."""

    def __init__(
        self,
        port: int,
        tls: ServerTls,
        wake: Callable[[], Awaitable[int]],
        touch: Callable[[], None],
        verifier: Callable[[str], Awaitable[str | None]],
        *,
        refuse: Callable[[Startup], str | None] = lambda _: None,
        pooled: FrontDoor | None = None,
    ) -> None:
        self._port = port
        self._tls = tls
        self._wake = wake
        self._touch = touch
        self._verifier = verifier
        self._refuse = refuse
        self._pooled = pooled  # for whoever comes here by the pooler's host name
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._keys: dict[Key, tuple[int, Key]] = {}

    async def open(self) -> None:
        """Listen; OSError when the port is taken."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.drop_connections()

    async def drop_connections(self) -> None:
        """End every session that goes through here."""
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client, task = Stream(reader, writer), asyncio.current_task()
        if self._server is None:  # it came in just before the door was closed
            client.close()
            return
        if task is not None:
            self._clients.add(task)
        try:
            async with asyncio.timeout(_AUTHENTICATION_SECONDS):
                startup, encrypted = await self._negotiate(client)
            if startup.code == CANCEL_REQUEST:
                await self.cancel(Key.unpack(startup.body))
            else:
                await self._asked_for(client).start(client, startup, encrypted=encrypted)
        except Refused as reason:
            with suppress(*_LOST):
                await client.send(fatal(reason))
        except (*_LOST, asyncio.CancelledError):
            pass  # one side went away, or the door was closed: nobody is left to tell
        finally:
            client.close()
            if task is not None:
                self._clients.discard(task)

    def _asked_for(self, client: Stream) -> FrontDoor:
        through = client.writer.get_extra_info("ssl_object")
        by_name = through is not None and through.context is self._tls.of_pooler
        return self._pooled if by_name and self._pooled is not None else self

    async def _negotiate(self, client: Stream) -> tuple[Startup, bool]:
        """The client's start-up packet, and whether it came through TLS. What may follow on what is PostgreSQL's rule."""
        encrypted, refused = False, False
        while True:
            startup = await read_startup(client.reader)
            if startup.code == SSL_REQUEST and not encrypted:
                if await client.has_more():
                    raise Refused(
                        "received unencrypted data after SSL request",
                        "08P01",
                        "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.",
                    )
                client.writer.write(b"S")
                await client.writer.start_tls(self._tls.context)
                encrypted = True
            elif startup.code == GSS_REQUEST and not (encrypted or refused):
                await client.send(b"N")
                refused = True
            elif startup.code in {SSL_REQUEST, GSS_REQUEST}:
                raise Refused(f"unsupported frontend protocol 1234.{startup.code & 0xFFFF}", "0A000")
            else:
                return startup, encrypted

    async def start(self, client: Stream, startup: Startup, *, encrypted: bool) -> None:
        """Carry a client's session to its end; raises Refused with what it is told instead."""
        startup, agreement = startup.for_server()
        refusal = self._refuse(startup)
        if refusal is not None:
            raise Closed(refusal)
        port = await self._wake()
        try:
            server = await Stream.to_port(port)
        except OSError as fault:
            raise Closed(f"the compute went away: {fault}") from fault
        shown = Key(secrets.randbelow(2**31 - 1) + 1, secrets.randbits(32))
        try:
            await client.send(agreement)
            await server.send(startup.pack())
            if encrypted:
                await self._bind(client, server, startup)
            async with asyncio.TaskGroup() as both:
                upward = both.create_task(self._listen(client, server))
                started = await self._authenticate(client, server, port, shown)
                upward.cancel()
            if started:
                await splice(client, server, self._touch)
        except* _LOST:
            pass
        finally:
            self._keys.pop(shown, None)
            server.close()

    async def _bind(self, client: Stream, server: Stream, startup: Startup) -> None:
        """Let a client that came through TLS bind its password to the channel; the server must ask for one."""
        user = startup.parameters.get("user", "")

        async def verifier() -> str | None:
            return await self._verifier(user)

        async with asyncio.timeout(_AUTHENTICATION_SECONDS):
            kind, body = await read_message(server.reader)
            if kind == b"R":
                await bind(client, server, body, self._tls.end_point, verifier)
            else:
                await client.send(pack(kind, body))

    async def _listen(self, client: Stream, server: Stream) -> None:
        """Carry a client's answers until it goes away, which ends the start of its session."""
        await pump(client, server, self._touch)
        server.close()

    async def _authenticate(self, client: Stream, server: Stream, port: int, shown: Key) -> bool:
        """Pass on the server's messages up to the first ReadyForQuery, with a key of our own. False: it refused."""
        while True:
            try:
                kind, body = await read_message(server.reader)
            except asyncio.IncompleteReadError:
                return False
            if kind == b"K":
                self._keys[shown] = (port, Key.unpack(body))
                await client.send(shown.pack())
            else:
                await client.send(pack(kind, body))
            if kind == b"Z":
                return True

    async def cancel(self, shown: Key) -> None:
        """Pass a cancel request on to the server that owns the session; an unknown key is ignored, as servers do."""
        found = self._keys.get(shown)
        if found is None:
            if self._pooled is not None:
                await self._pooled.cancel(shown)
            return
        port, key = found
        server = await Stream.to_port(port)
        try:
            await server.send(key.cancel_request())
            await server.reader.read()  # the server closes once the signal is sent
        finally:
            server.close()
