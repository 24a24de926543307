from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pipeline.neon import NeonClient, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import Emulator

# As patient as the default, in less time.
QUICK = RetryPolicy(attempts=12, first_pause=0.01, longest_pause=0.3, request_timeout=10, operation_poll=0.02)


@pytest.fixture
def client(emulator: Emulator) -> Iterator[NeonClient]:
    """The client, pointed at the emulator."""
    made = NeonClient(emulator.environment["NEON_API_KEY"], base_url=emulator.environment["NEON_API_URL"], policy=QUICK)
    with made:
        yield made
    emulator.admin.delete("/faults")


@pytest.fixture(scope="module")
def shared_project(emulator: Emulator) -> Iterator[dict[str, Any]]:
    """One project for the tests of a module that only look at it, or make branches of their own."""
    made = emulator.create_project()
    yield made
    emulator.delete_project(made["project"]["id"])


@pytest.fixture(scope="module")
def project_id(shared_project: dict[str, Any]) -> str:
    return str(shared_project["project"]["id"])


@pytest.fixture(scope="module")
def main_id(shared_project: dict[str, Any]) -> str:
    """The id of the default branch."""
    return str(shared_project["branch"]["id"])
