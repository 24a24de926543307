"""The one public port: plain HTTP for a client of the base URL, and an HTTPS proxy that plays console.neon.tech.

The Terraform provider's address of the API is a constant. HTTPS_PROXY sends it here with CONNECT; the tunnel ends in
this process, with a certificate of our own authority. Both ways lead to the same web server.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from emulator.certificates import API_HOST
from emulator.streams import Stream, splice

if TYPE_CHECKING:
    import ssl

_LONGEST_HEAD = 16_384
log = logging.getLogger(__name__)


class Proxy:
    """A listener that passes connections on to the web server on `port`."""

    def __init__(self, web_port: int, tls: ssl.SSLContext) -> None:
        self._web_port = web_port
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._clients: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, port: int) -> int:
        """Listen on loopback; returns the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def abort(self, local_port: int) -> None:
        """Cut the client whose requests reach the web server from this local port."""
        client = self._clients.get(local_port)
        if client is not None:
            client.writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            first = await reader.readuntil(b"\n")
            if first.startswith(b"CONNECT "):
                if not await self._accept(first, reader, writer):
                    return
                first = b""
            await self._pass_on(first, Stream(reader, writer))
        except (OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the client went away, or did not speak TLS, or we close
        finally:
            writer.close()
            if task is not None:
                self._tasks.discard(task)

    async def _accept(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        target = first.removeprefix(b"CONNECT ").decode("latin-1").partition(" ")[0].strip()
        length = len(first)
        while (line := await reader.readuntil(b"\n")).strip():
            length += len(line)
            if length > _LONGEST_HEAD:
                return False
        if target != f"{API_HOST}:443":
            log.warning("refused to reach %s: the proxy knows %s only", target, API_HOST)
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return False
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await writer.start_tls(self._tls)
        return True

    async def _pass_on(self, first: bytes, client: Stream) -> None:
        web = await Stream.to_port(self._web_port)
        local_port = int(web.writer.get_extra_info("sockname")[1])
        self._clients[local_port] = client
        try:
            await web.send(first)
            await splice(client, web)
        finally:
            del self._clients[local_port]
            web.close()
