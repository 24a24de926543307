"""A server that is not ready yet is asked again."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from dbclient.url import DatabaseURL
from pipeline.postgres.connect import ConnectFailed, open_session

if TYPE_CHECKING:
    from collections.abc import Iterator

# As PostgreSQL 16 answers while it recovers from a crash (src/backend/postmaster/postmaster.c, ProcessStartupPacket).
_FIELDS = (
    b"SFATAL",
    b"VFATAL",
    b"C57P03",
    b"Mthe database system is not yet accepting connections",
    b"DConsistent recovery state has not been yet reached.",
)
_BODY = b"".join(field + b"\0" for field in _FIELDS) + b"\0"
NOT_YET = b"E" + (len(_BODY) + 4).to_bytes(4, "big") + _BODY


@pytest.fixture
def recovering() -> Iterator[tuple[DatabaseURL, list[bytes]]]:
    """The URL of a server that says so for ever, and the start-up packets that it was sent."""
    asked: list[bytes] = []

    def answer(listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # the test is over
                return
            with client:
                asked.append(client.recv(1 << 16))
                client.sendall(NOT_YET)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        port = listener.getsockname()[1]
        url = DatabaseURL(
            host="127.0.0.1", port=port, user="u", password="p", database="d", params=[("sslmode", "disable")]
        )
        yield url, asked
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_one_that_recovers_from_a_crash_is_waited_for(recovering: tuple[DatabaseURL, list[bytes]]) -> None:
    url, asked = recovering
    with pytest.raises(ConnectFailed, match="not yet accepting connections"):
        open_session(url, application_name="test", wait=1.0)
    assert len(asked) > 1
