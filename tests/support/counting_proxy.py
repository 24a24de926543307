"""A TCP proxy in front of PostgreSQL that knows where one protocol message ends and the next begins.

It counts the client's messages and the waits (each time the client speaks after the server did), adds a round-trip time if
asked, and can stop at any message: before the server sees it, or after that and before the client hears of it.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SSL_REQUEST, _GSS_REQUEST, _CANCEL_REQUEST = 80877103, 80877104, 80877102


@dataclass
class Link:
    """One connection through the proxy."""

    client: socket.socket
    server: socket.socket
    backend_pid: int = 0
    messages: int = 0
    held: bool = False  # the server's side stays open when the client goes
    server_spoke: bool = True  # since the client's last message
    audible: threading.Event = field(default_factory=threading.Event)  # cleared: the client does not hear the server

    def drop(self) -> None:
        """Close both sides, as a cable that is pulled out."""
        for side in (self.client, self.server):
            # RST instead of FIN: nothing that is under way arrives
            with contextlib.suppress(OSError):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                side.close()
        self.audible.set()


class CountingProxy:
    """Listens on a loopback port while it is open as a context manager.

    `before` and `after` are called with the link and the number (from 1) of each client message, over all connections:
    before it is forwarded, and after that with no answer passed on yet. `heard` is called with what the server sends, in
    pieces as they arrive, and `sent` with what the client sends.
    """

    def __init__(self, host: str, port: int, *, round_trip: float = 0.0, listen_after: float = 0.0) -> None:
        self.target = (host, port)
        self.round_trip = round_trip
        self.before: Callable[[Link, int], None] | None = None
        self.after: Callable[[Link, int], None] | None = None
        self.heard: Callable[[Link, bytes], None] | None = None
        self.sent: Callable[[Link, bytes], None] | None = None
        self.messages = 0
        self.waits = 0
        self.connections = 0
        self.links: list[Link] = []
        self.errors: list[BaseException] = []
        self._lock = threading.Lock()
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._listen_after = listen_after
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        if not self._listen_after:
            self._listener.listen(64)
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        # shutdown wakes the thread that accepts
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self.links:
            link.drop()
        for thread in self._threads:
            thread.join(10)
        if self.errors:
            raise self.errors[0]

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=self._guarded, args=(target, *args), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guarded(self, target: Callable[..., None], *args: object) -> None:
        try:
            target(*args)
        except OSError:
            pass  # a side was closed, which is what this proxy is for
        except BaseException as error:  # noqa: BLE001 - told to the test at the end
            self.errors.append(error)

    def _accept(self) -> None:
        if self._listen_after:
            self._stopping.wait(self._listen_after)
            self._listener.listen(64)
        while not self._stopping.is_set():
            client, _ = self._listener.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self.waits += 1  # the connection itself
            if self.round_trip:
                time.sleep(self.round_trip)
            try:
                server = socket.create_connection(self.target, 10)
            except OSError:
                client.close()
                continue
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.settimeout(None)
            link = Link(client, server)
            link.audible.set()
            self.links.append(link)
            self._start(self._client_to_server, link)
            self._start(self._server_to_client, link)

    def _client_to_server(self, link: Link) -> None:
        try:
            for message in _frontend_messages(link.client):
                self._forward(link, message)
        finally:
            if not link.held:
                link.drop()

    def _forward(self, link: Link, message: bytes) -> None:
        with self._lock:
            self.messages += 1
            link.messages += 1
            number = self.messages
            # a client that says good-bye waits for nothing
            waits = link.server_spoke and message[:1] != b"X"
            self.waits += waits
        link.server_spoke = False
        if self.sent is not None:
            self.sent(link, message)
        if self.before is not None:
            self.before(link, number)
        if self.round_trip and waits:
            time.sleep(self.round_trip)
        if self.after is None:
            link.server.sendall(message)
            return
        link.audible.clear()
        link.server.sendall(message)
        self.after(link, number)
        link.audible.set()

    def _server_to_client(self, link: Link) -> None:
        try:
            while data := link.server.recv(1 << 16):
                link.backend_pid = link.backend_pid or _backend_pid(data)
                link.audible.wait()
                link.server_spoke = True
                if self.heard is not None:
                    self.heard(link, data)
                link.client.sendall(data)
        finally:
            if not link.held:
                link.drop()


def _frontend_messages(client: socket.socket) -> Iterator[bytes]:
    """Yield the client's messages whole: the start-up packets without a type byte, then typed ones."""
    started = False
    while True:
        head = _exactly(client, 5 if started else 4)
        if head is None:
            return
        length = struct.unpack("!I", head[-4:])[0]
        body = _exactly(client, length - 4)
        if body is None:
            return
        if not started:
            code = struct.unpack("!I", body[:4])[0]
            started = code not in {_SSL_REQUEST, _GSS_REQUEST, _CANCEL_REQUEST}
        yield head + body


def _exactly(source: socket.socket, size: int) -> bytes | None:
    chunks = b""
    while len(chunks) < size:
        chunk = source.recv(size - len(chunks))
        if not chunk:
            return None
        chunks += chunk
    return chunks


def _backend_pid(data: bytes) -> int:
    """The pid in BackendKeyData ('K', length 12), or 0 when it is not in these bytes."""
    at = data.find(b"K\x00\x00\x00\x0c")
    return struct.unpack("!I", data[at + 5 : at + 9])[0] if at >= 0 else 0
