"""However a rehearsal ends, no branch of it is left: or one that expires, which it names and the next one deletes."""

from __future__ import annotations

import re
import signal
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.deploy.observer import Observer
from pipeline.environments.place import Place
from pipeline.errors import PipelineError
from pipeline.neon import NeonClient, RetryPolicy
from pipeline.rehearsal.rehearsing import Asked, rehearse
from pipeline.rehearsal.result import Result
from tests.rehearsal.rehearsed import Rehearsed, rehearsed

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.support.emulator import Emulator

# Two attempts at each call; what takes a while is not asked for more often than it has to be.
IMPATIENT = RetryPolicy(attempts=2, first_pause=0.01, longest_pause=0.1, request_timeout=20, operation_poll=0.25)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, emulator: Emulator) -> Iterator[Rehearsed]:
    """A production without a row, and a pending file that takes two seconds."""
    made = rehearsed(tmp_path_factory.mktemp("small"), emulator)
    made.deploy()
    made.write("CREATE TABLE note (id int);", "SELECT pg_sleep(2);")
    yield made
    emulator.delete_project(made.project_id)


@pytest.fixture
def prod(small: Rehearsed) -> Iterator[Rehearsed]:
    yield small
    small.emulator.admin.delete("/faults")
    for branch in small.branches():
        if branch["name"] != "main":
            small.emulator.delete_branch(small.project_id, branch["id"])


def at(process: subprocess.Popen[str], words: str) -> None:
    """Wait until it says that it is at something."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it never said {words!r}")


@pytest.mark.parametrize("words", ["copying", "deploying", "0900_pending measured", "deleting"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_rehearsal_leaves_no_branch(prod: Rehearsed, number: signal.Signals, words: str) -> None:
    process = prod.start()
    at(process, words)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert "error: interrupted; prod was not touched\nIts copies are deleted" in err
    assert out == ""
    assert prod.names() == ["main"], err


def test_what_a_killed_rehearsal_leaves_expires_and_the_next_one_deletes_it(prod: Rehearsed) -> None:
    process = prod.start()
    at(process, "0900_pending measured")
    process.kill()
    process.communicate(timeout=60)
    left = [branch for branch in prod.branches() if branch["name"] != "main"]
    assert len(left) == 2
    for branch in left:
        assert branch["name"].startswith("rehearsal/")
        expires = datetime.fromisoformat(branch["expires_at"]) - datetime.now(UTC)
        assert timedelta(minutes=115) < expires <= timedelta(hours=2)
    done = prod.inv()
    assert done.returncode == 0, done.stderr
    for branch in left:
        assert f"deleted the branch {branch['name']}, which a killed rehearsal left" in done.stderr
    assert prod.names() == ["main"]


class Told(Observer):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class Watched:
    """Our own client, which counts the calls of each route; before the one that is named, it switches a fault on."""

    def __init__(self, prod: Rehearsed, *, route: str = "", occurrence: int = 0, **fault: Any) -> None:
        neon = prod.emulator.environment
        self.client = NeonClient(neon["NEON_API_KEY"], base_url=neon["NEON_API_URL"], policy=IMPATIENT)
        self.calls: list[str] = []
        lock, call = threading.Lock(), self.client._transport.call

        def watched(method: str, path: str, **options: Any) -> Any:
            with lock:
                self.calls.append(template(method, path))
                if self.calls[-1] == route and self.calls.count(route) == occurrence:
                    prod.emulator.fault(route=f"{method} {path}", **fault)
            return call(method, path, **options)

        self.client._transport.call = watched  # type: ignore[method-assign]


def template(method: str, path: str) -> str:
    """A route without the ids in it."""
    return method + " " + re.sub(r"/(projects|branches|operations|roles)/[^/]+", r"/\1/*", path)


def run(prod: Rehearsed, watched: Watched, told: Told) -> Result | PipelineError:
    asked = Asked(prod.path, Place("prod", prod.project_id, branch_name="main"))
    try:
        with watched.client as client:
            return rehearse(asked, client, told).result
    except PipelineError as error:
        return error


@pytest.mark.timeout(600)
def test_a_fault_of_the_api_at_any_call_leaves_no_branch(prod: Rehearsed, record_property: Any) -> None:
    prod.forget()
    prod.write("CREATE TABLE note (id int);")
    clean = Watched(prod)
    assert run(prod, clean, Told()) is Result.PASSED
    routes = sorted(set(clean.calls))
    faults: list[dict[str, Any]] = [
        {"status": 500, "times": 2},
        {"kind": "lost", "times": 2},
        {"status": 422, "times": 1},
    ]
    endings: Counter[str] = Counter()
    for route in routes:
        for occurrence in {1} if route.startswith("GET") else {1, clean.calls.count(route)}:
            for fault in faults[:1] if route.startswith("GET") else faults:
                told, watched = Told(), Watched(prod, route=route, occurrence=occurrence, **fault)
                ended = run(prod, watched, told)
                endings[
                    f"{type(ended).__name__} {ended}"[:60] if isinstance(ended, PipelineError) else ended.value
                ] += 1
                where = f"{fault} at call {occurrence} of {route}: {ended}"
                prod.emulator.admin.delete("/faults")
                left = [branch for branch in prod.branches() if branch["name"] != "main"]
                for branch in left:
                    assert branch["expires_at"], where
                    assert any(branch["name"] in note for note in told.notes), where
                    prod.emulator.delete_branch(prod.project_id, branch["id"])
                assert not left or route.startswith("DELETE"), where
    record_property("endings", dict(endings))
    assert sum(endings.values()) > 2 * len(routes)
    assert endings["passed"] < sum(endings.values()) / 2
