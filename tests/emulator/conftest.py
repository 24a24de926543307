from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import Emulator

Json = dict[str, Any]


@pytest.fixture
def project(emulator: Emulator) -> Iterator[Json]:
    """A project of the test's own: the answer to its creation."""
    made = emulator.create_project()
    yield made
    emulator.delete_project(made["project"]["id"])


@pytest.fixture(scope="session")
def shared(emulator: Emulator) -> Json:
    """A project for tests that leave it as it is."""
    return emulator.create_project(name="shared")
