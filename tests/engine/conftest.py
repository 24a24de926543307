"""The real engine, bridge, provider and language host. Skipped, with the reason, where they are not on PATH."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.engine.workspace import Workspace, missing_programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chatdb.url import DatabaseURL
    from tests.support.emulator import Emulator


@pytest.fixture(autouse=True, scope="session")
def _programs() -> None:
    if missing := missing_programs():
        pytest.skip(f"not on PATH: {', '.join(missing)} (docs/infrastructure.md says where they come from)")


@pytest.fixture
def workspace(_programs: None, tmp_path: Path, emulator: Emulator) -> Iterator[Workspace]:
    """A Pulumi project of the test's own, with no stack yet."""
    made = _make(tmp_path, emulator)
    yield made
    made.close()


@pytest.fixture
def free(_programs: None, tmp_path: Path, another_emulator: Callable[..., Emulator]) -> Iterator[Workspace]:
    """A workspace on an account of the Free plan."""
    made = _make(tmp_path, another_emulator("--plan", "free"))
    yield made
    made.close()


@pytest.fixture
def prod(workspace: Workspace) -> Workspace:
    """A workspace whose `prod` is up; `dev` is empty."""
    workspace.init("prod", "dev")
    workspace.up("prod")
    return workspace


@pytest.fixture(scope="module")
def owner(_programs: None, tmp_path_factory: pytest.TempPathFactory, emulator: Emulator) -> Iterator[Workspace]:
    """A workspace whose `prod` is up, for a module of tests that each make a branch stack of their own."""
    made = _make(tmp_path_factory.mktemp("owner"), emulator)
    made.init("prod")
    made.up("prod")
    yield made
    made.close()


@pytest.fixture
def branch(owner: Workspace) -> Iterator[str]:
    """The name of a stack that owns a branch, not yet up; destroyed afterwards."""
    stack = f"dev{uuid.uuid4().hex[:6]}"
    owner.init(stack)
    owner.set(stack, owns="branch", parentStack="prod")
    yield stack
    owner.emulator.admin.delete("/faults")
    owner.destroy(stack)


@pytest.fixture
def both(prod: Workspace) -> Workspace:
    """A workspace with both stacks up."""
    prod.up("dev")
    return prod


@pytest.fixture(scope="module")
def standing(_programs: None, tmp_path_factory: pytest.TempPathFactory, emulator: Emulator) -> Iterator[Workspace]:
    """Both stacks up from nothing, for the tests of a module that only look."""
    made = _make(tmp_path_factory.mktemp("standing"), emulator)
    made.init("prod", "dev")
    made.up("prod")
    made.up("dev")
    yield made
    made.close()


@pytest.fixture(scope="session")
def query() -> Callable[[DatabaseURL, str], list[tuple[object, ...]]]:
    """Run one statement on a database, and give its rows."""

    def run(url: DatabaseURL, sql: str) -> list[tuple[object, ...]]:
        settings = url.for_psycopg()
        with psycopg.connect(settings.dsn, autocommit=True, connect_timeout=20, **settings.connect) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    return run


def _make(folder: Path, emulator: Emulator) -> Workspace:
    backend = folder / "state"
    backend.mkdir()
    return Workspace(folder, emulator, backend)
