from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING

import httpx
import pytest

from emulator.administration import Unreachable, administer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.emulator import Emulator


def test_a_tunnel_to_console_neon_tech_ends_here_and_stays_open(emulator: Emulator) -> None:
    context = ssl.create_default_context(cafile=emulator.environment["SSL_CERT_FILE"])
    headers = {"Authorization": f"Bearer {emulator.environment['NEON_API_KEY']}"}
    with httpx.Client(proxy=emulator.environment["HTTPS_PROXY"], verify=context, headers=headers) as client:
        answers = [client.get("https://console.neon.tech/api/v2/regions") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]


def test_the_proxy_reaches_nothing_else(emulator: Emulator) -> None:
    with (
        httpx.Client(proxy=emulator.environment["HTTPS_PROXY"]) as client,
        pytest.raises(httpx.ProxyError, match="403"),
    ):
        client.get("https://api.example.test/")


@pytest.mark.parametrize(
    "head", [b"CONNECT \r\n\r\n", b"CONNECT\r\n\r\n", b"CONNECT  HTTP/1.1\r\n\r\n", b"\xff\r\n", b"\0"]
)
def test_rubbish_at_the_port_is_no_fault_of_the_emulators(emulator: Emulator, head: bytes) -> None:
    log = emulator.data / "emulator.log"
    before = log.stat().st_size
    port = int(emulator.environment["HTTPS_PROXY"].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000):
            pass

    assert emulator.api.get("/regions").status_code == 200
    assert "Traceback" not in log.read_text()[before:]


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-other\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n<html>",
    ],
    ids=["another protocol", "a page", "another answer", "half an answer"],
)
def test_another_program_at_the_port_of_a_killed_emulator_is_not_taken_for_one(tmp_path: Path, answer: bytes) -> None:
    (tmp_path / "admin-token").write_text("token")
    with socket.create_server(("127.0.0.1", 0)) as other:

        def serve() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        (tmp_path / "address").write_text(f"http://127.0.0.1:{other.getsockname()[1]}\n")
        with pytest.raises(Unreachable, match="none runs in"):
            administer(tmp_path, "GET", "/faults", None)
        thread.join(30)
