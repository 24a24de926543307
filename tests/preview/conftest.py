"""`team`: a clone with prod and dev on the session's emulator, which the tests of a module share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.preview.clone import Clone, clone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import Emulator


@pytest.fixture(scope="session")
def shared_clone(tmp_path_factory: pytest.TempPathFactory, emulator: Emulator) -> Iterator[Clone]:
    built = clone(tmp_path_factory.mktemp("clone"), emulator)
    yield built
    emulator.delete_project(built.project_id)


@pytest.fixture
def team(shared_clone: Clone) -> Iterator[Clone]:
    """The shared clone; previews and pending files are taken away afterwards."""
    yield shared_clone
    shared_clone.emulator.admin.delete("/faults")
    shared_clone.forget()
    for branch in shared_clone.branches():
        if branch["name"] not in {"main", "dev"}:
            shared_clone.emulator.delete_branch(shared_clone.project_id, branch["id"])
