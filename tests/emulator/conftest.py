from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

Json = dict[str, Any]


@pytest.fixture(scope="session")
def shared(emulator: Emulator) -> Json:
    """A project for tests that leave it as it is."""
    return emulator.create_project(name="shared")
