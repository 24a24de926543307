"""The test server at other kinds of address: a socket's folder, IPv6."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Address = tuple[str, int] | str


@contextlib.contextmanager
def forwarded(family: socket.AddressFamily, address: Address, target: tuple[str, int]) -> Iterator[Address]:
    """Listen there and pass every connection on to the target. Gives the address, with the port that was chosen."""
    with socket.socket(family) as listener:
        listener.bind(address)
        listener.listen()
        threading.Thread(target=_accept, args=(listener, target), daemon=True).start()
        yield listener.getsockname()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts


def _accept(listener: socket.socket, target: tuple[str, int]) -> None:
    with contextlib.suppress(OSError):
        while True:
            near, _ = listener.accept()
            far = socket.create_connection(target)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError), source, sink:
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
