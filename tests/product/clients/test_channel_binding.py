"""The real clients at the emulator's door: node-postgres binds its channel, and Prisma's adapter comes in without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.pooling import needs_pgbouncer, pooled
from tests.emulator.urls import uri

if TYPE_CHECKING:
    from tests.support.emulator import Emulator
    from tests.support.typescript import Node


@pytest.mark.parametrize("door", ["direct", pytest.param("pooled", marks=needs_pgbouncer)])
def test_node_postgres_binds_its_channel_and_prismas_adapter_comes_in_without(
    emulator: Emulator, project: dict[str, Any], node: Node, door: str
) -> None:
    url = uri(project) if door == "direct" else pooled(emulator, project)
    found = node.run("channel_binding.mjs", url=url, AUTHORITY=emulator.environment["SSL_CERT_FILE"])

    assert found == {"bound": "app_owner", "plain": "app_owner"}
