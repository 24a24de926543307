"""The real engine, bridge, provider and language host. Skipped, with the reason, where they are not on PATH.

A `pulumi up` takes two seconds of a processor, so a test takes the first of these that will do:

- `shared`: both stacks up, shared by a module whose tests only look.
- `branch`, with `owner`: a branch stack of the test's own, not yet up, of a `prod` that is shared by all tests of a worker.
- `prod`, `both`: stacks that are up, in a state and on an emulator of the test's own. They are copied, which takes a second.
- `workspace`: no stack yet, on the session's emulator; `free`: the same on an account of the Free plan.

Where two of `shared`, `prod` and `both` are wanted at once, the second is brought up from nothing. Run them side by side,
with more workers than processors since half of the time is waiting: `./inv test -- tests/engine -n 4 --dist worksteal`.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.engine.prepared import Prepared
from tests.engine.workspace import ROOT, Workspace, missing_programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from tests.support.emulator import Emulator


@pytest.fixture(autouse=True, scope="session")
def _programs() -> None:
    if missing := missing_programs():
        pytest.skip(
            f"not on PATH: {', '.join(missing)} (docs/infrastructure.md, Programs of the engine tests, says where they come from)"
        )


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


@pytest.fixture(scope="session")
def prepared(
    _programs: None, tmp_path_factory: pytest.TempPathFactory, new_emulator: Callable[..., Emulator]
) -> Iterator[Prepared]:
    """Stacks that are up, made once and copied (prepared.py)."""
    made = Prepared(tmp_path_factory.mktemp("prepared"), new_emulator)
    yield made
    made.remove()


@pytest.fixture
def prod(prepared: Prepared, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace whose `prod` is up; `dev` is empty. All of it is the test's own, the emulator too."""
    made = prepared.workspace(tmp_path, "prod")
    yield made
    prepared.close(made)


@pytest.fixture
def both(prepared: Prepared, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace with both stacks up. All of it is the test's own, the emulator too."""
    made = prepared.workspace(tmp_path, "prod", "dev")
    yield made
    prepared.close(made)


@pytest.fixture(scope="module")
def shared(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Both stacks up, for the tests of a module that only look."""
    made = prepared.workspace(tmp_path_factory.mktemp("shared"), "prod", "dev")
    yield made
    prepared.close(made)


@pytest.fixture(scope="session")
def owner(_programs: None, tmp_path_factory: pytest.TempPathFactory, emulator: Emulator) -> Iterator[Workspace]:
    """A workspace whose `prod` is up, for tests that each make a branch stack of their own (`branch`)."""
    made = _make(tmp_path_factory.mktemp("owner"), emulator)
    try:
        made.init("prod")
        made.up("prod")
        yield made
    finally:
        made.close()


@pytest.fixture
def branch(owner: Workspace) -> Iterator[str]:
    """The name of a stack of `owner` that owns a branch, not yet up. Its branch is deleted afterwards, with children.

    A test of what `pulumi destroy` does destroys it itself.
    """
    stack = f"dev{uuid.uuid4().hex[:6]}"
    owner.init(stack)
    owner.set(stack, owns="branch", parentStack="prod")
    yield stack
    owner.emulator.admin.delete("/faults")
    owner.forget(stack)


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


@pytest.fixture(scope="session")
def policies_environment(_programs: None) -> Path:
    """The policy pack's own environment, made as docs/infrastructure.md says, once for each lock."""
    lock = ROOT / "locks" / "policies.lock"
    folder = ROOT / ".local" / "policies" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # another worker may be making it
        if not (folder / "complete").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            install = [str(folder / "bin" / "pip"), "install", "--quiet", "--only-binary", ":all:", "--require-hashes"]
            subprocess.run([*install, "-r", str(lock)], check=True)
            (folder / "complete").touch()
    return folder
