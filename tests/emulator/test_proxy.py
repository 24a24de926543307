from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
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
