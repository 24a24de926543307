"""Whatever becomes of a restore in place, and at whatever step, the same command ends where a clean run ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import inspect_server
from tests.restore.test_in_place import PICTURE, agree, back

if TYPE_CHECKING:
    from tests.restore.conftest import Place

# The verb, in a process that kills itself before or after the nth of those calls of Neon's API that change something, or
# of the queries that its sessions send behind the restore, or in a rerun.
DRIVER = """
import os, signal, sys
import httpx
from pipeline.postgres.session import Session
from verbs.__main__ import main
moment, wanted, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
count, restored = 0, kind == "query of a rerun"

def step(what, call, *arguments, **options):
    global count, restored
    if not what or what not in kind:
        return call(*arguments, **options)
    count += 1
    if (moment, count) == ("before", wanted):
        os.kill(os.getpid(), signal.SIGKILL)
    answer = call(*arguments, **options)
    if (moment, count) == ("after", wanted):
        os.kill(os.getpid(), signal.SIGKILL)
    return answer

request, run = httpx.Client.request, Session.run

def counted_request(self, method, url, **options):
    global restored
    answer = step("call" if method != "GET" else "", request, self, method, url, **options)
    restored = restored or str(url).endswith("/restore")
    return answer

def counted_run(self, *arguments, **options):
    return step("query" if restored else "", run, self, *arguments, **options)

httpx.Client.request, Session.run = counted_request, counted_run
sys.argv = ["inv", "restore", "--env", "prod", "--before", "3", "--in-place", "--confirm", "prod"]
sys.exit(main())
"""
CALLS = ("POST …/branches", "POST …/reset_password", "DELETE …/branches/…", "POST …/restore")


def run_killed(place: Place, moment: str, step: int, kind: str) -> int:
    """The exit status of the verb that is killed there; -9 where it came so far."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, moment, str(step), kind],
        cwd=place.folder.path.parent,
        env=place.variables(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stdout + done.stderr
    return done.returncode


def is_back(place: Place) -> None:
    """As a clean run leaves it, with one branch that keeps the old state."""
    assert place.rows(PICTURE) == [(1000, 500500, 0, 100)]
    assert sorted(inspect_server(place.url).history.held) == ["0003_fewer"]
    names = [name for name in place.branches() if name.startswith("kept/")]
    assert len(names) == 1
    assert place.value("SELECT count(*) FROM migration_history._yoyo_log WHERE operation = 'held'") == 1


@pytest.mark.parametrize("step", [1, 2, 3, 4], ids=CALLS)
def test_killed_behind_a_call_of_neons_api_it_is_gone_on_with(place: Place, step: int) -> None:
    """Before the next one is the same moment."""
    assert run_killed(place, "after", step, "call") == -signal.SIGKILL
    assert run_killed(place, "never", 0, "call") == 0
    is_back(place)


def test_killed_at_each_query_behind_the_restore_it_is_gone_on_with(place: Place) -> None:
    assert run_killed(place, "before", 1, "query") == -signal.SIGKILL
    steps = iter(range(1, 20))
    while run_killed(place, "before", step := next(steps), "query of a rerun") != 0:
        assert inspect_server(place.url).history.held.keys() <= {"0003_fewer"}
    assert step > 4, "the look at the server, that at the old state, the lock, the log, and what holds the file"
    is_back(place)


def test_answers_that_are_lost_are_looked_for(place: Place) -> None:
    for route in (
        "POST /projects/*/branches",
        "POST /projects/*/branches/*/roles/*/reset_password",
        "DELETE /projects/*/branches/*",
        "POST /projects/*/branches/*/restore",
        "GET /projects/*/operations/*",
    ):
        place.emulator.fault(route=route, kind="lost")
    place.emulator.fault(operation="create_branch", seconds=1.0, times=3)
    done = place.inv("restore", "--env", "prod", "--before", "3", "--in-place", "--confirm", "prod")
    assert done.returncode == 0, done.stderr
    is_back(place)
    assert set(place.branches()) == {"main", *(name for name in place.branches() if name.startswith("kept/"))}


def test_a_restore_that_neon_did_not_carry_out_is_asked_for_again(place: Place) -> None:
    place.emulator.fault(operation="create_branch", times=2, message="no storage")
    for _ in range(2):  # the look's branch, then the restore
        failed = place.inv("restore", "--env", "prod", "--before", "3", "--in-place", "--confirm", "prod")
        assert (failed.returncode, "no storage" in failed.stderr) == (5, True), failed.stderr
    assert place.value('SELECT count(*) FROM "Person"') == 900
    back(place, consent=agree)
    is_back(place)
