"""Branches that the pipeline makes for a while, on the emulator, also when the process that holds one is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pipeline.leases import LONGEST_RUN, Purpose, Source, clear, give_back, lent, own_name, purpose_of, take
from pipeline.neon import ApiError, Compute, Moment, NeonClient
from tests.emulator.moments import items, write
from tests.emulator.urls import uri
from tests.neon.conftest import QUICK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import Emulator

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
SMALL, HOURS = Compute(0.25, 1), timedelta(hours=2)
HOLDER = """
import os, sys
from datetime import timedelta
from pipeline.leases import Purpose, Source, lent
from pipeline.neon import Compute, NeonClient
client = NeonClient.from_environment(os.environ)
source = Source(*sys.argv[1:3], "app_owner", "app")
with lent(client, source, Purpose.REHEARSAL, lasts=timedelta(hours=2), compute=Compute(0.25, 1)) as lease:
    print(lease.branch.name, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def client(emulator: Emulator) -> Iterator[NeonClient]:
    environment = emulator.environment
    with NeonClient(environment["NEON_API_KEY"], base_url=environment["NEON_API_URL"], policy=QUICK) as made:
        yield made
    emulator.admin.delete("/faults")


@pytest.fixture
def source(project: Json) -> Source:
    return Source(project["project"]["id"], project["branch"]["id"], "app_owner", "app")


def names(client: NeonClient, source: Source) -> set[str]:
    return {branch.name for branch in client.branches(source.project_id)}


def test_a_lease_is_a_copy_with_a_password_of_its_own_that_expires_and_is_given_back(
    client: NeonClient, source: Source, project: Json
) -> None:
    good, _ = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id", "INSERT INTO item VALUES (2)")
    then = Source(source.project_id, source.branch_id, "app_owner", "app", Moment(lsn=good))
    with lent(client, then, Purpose.REHEARSAL, word="a", lasts=HOURS, compute=SMALL) as lease:
        assert lease.url is not None
        url = lease.url.for_psycopg().dsn
        assert items(url) == [1]
        parents = psycopg.conninfo.conninfo_to_dict(uri(project))["password"]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url, password=str(parents))
        assert lease.branch.expires_at is not None
        left = lease.branch.expires_at - datetime.now(UTC)
        assert timedelta(minutes=115) < left <= HOURS
        assert purpose_of(lease.branch.name) is Purpose.REHEARSAL
        assert lease.branch.name.endswith("-a")
        assert clear(client, source.project_id, Purpose.REHEARSAL) == [], "its holder lives"
    assert names(client, source) == {"main"}


@pytest.mark.parametrize("ending", [ValueError, KeyboardInterrupt])
def test_a_lease_is_given_back_however_the_block_ends(
    client: NeonClient, source: Source, ending: type[BaseException]
) -> None:
    with pytest.raises(ending), lent(client, source, Purpose.LOOK, lasts=HOURS, compute=SMALL):
        raise ending
    assert names(client, source) == {"main"}


def test_a_branch_whose_password_cannot_be_set_is_not_kept(
    emulator: Emulator, client: NeonClient, source: Source
) -> None:
    emulator.fault(route="POST /projects/*/branches/*/roles/*/reset_password", status=422, message="no such role")
    with pytest.raises(ApiError, match="no such role"):
        take(client, source, Purpose.PREVIEW, "pr-1", lasts=HOURS, compute=SMALL)
    assert names(client, source) == {"main"}


def test_a_kept_point_has_no_compute(client: NeonClient, source: Source) -> None:
    lease = take(client, source, Purpose.KEPT, "before-0007", lasts=timedelta(days=7))
    assert (lease.url, client.endpoints(source.project_id, lease.branch.id)) == (None, [])
    with pytest.raises(ApiError, match="already has a branch kept/before-0007"):
        take(client, source, Purpose.KEPT, "before-0007", lasts=HOURS)
    assert clear(client, source.project_id, Purpose.KEPT) == [], "no process holds it: it stays until it expires"
    give_back(client, lease)
    give_back(client, lease)
    assert names(client, source) == {"main"}


def test_what_a_killed_run_left_goes_with_the_next_one_and_nothing_else(
    emulator: Emulator, client: NeonClient, source: Source
) -> None:
    others = {"rehearsal/by hand", "dev", f"look/{own_name()}"}
    for name in others:
        client.create_branch(source.project_id, name, expires_at=datetime.now(UTC).replace(microsecond=0) + HOURS)
    neon = {name: emulator.environment[name] for name in ("NEON_API_KEY", "NEON_API_URL")}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, source.project_id, source.branch_id],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | neon,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder.stdin, holder.stdout:
        held = holder.stdout.readline().strip()
        assert clear(client, source.project_id, Purpose.REHEARSAL) == []
        holder.send_signal(signal.SIGKILL)
        holder.wait(60)
    assert names(client, source) == {"main", held, *others}
    assert clear(client, source.project_id, Purpose.REHEARSAL) == [held]
    assert names(client, source) == {"main", *others}


def test_two_machines_of_one_name_leave_each_others_branches(
    client: NeonClient, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CI's machines are, which one image makes: a process of that number is there, or is not, by chance."""
    monkeypatch.setattr("pipeline.leases.os.getpid", lambda: 4_000_000_000)
    monkeypatch.setattr("pipeline.leases._start_of_machine", lambda: "0a0b0c0d")
    with lent(client, source, Purpose.REHEARSAL, lasts=HOURS, compute=SMALL):
        monkeypatch.undo()
        assert clear(client, source.project_id, Purpose.REHEARSAL) == []


def test_a_branch_of_another_machine_goes_when_no_run_lasts_that_long(
    client: NeonClient, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.leases.socket.gethostname", lambda: "Another.Machine")
    with lent(client, source, Purpose.REHEARSAL, lasts=HOURS, compute=SMALL) as lease:
        assert lease.branch.name.startswith("rehearsal/another-machine-")
        monkeypatch.undo()
        assert clear(client, source.project_id, Purpose.REHEARSAL) == []
        monkeypatch.setattr("pipeline.leases.LONGEST_RUN", -LONGEST_RUN)
        assert clear(client, source.project_id, Purpose.REHEARSAL) == [lease.branch.name]


@pytest.mark.parametrize(
    ("name", "purpose"),
    [
        ("rehearsal/host-1-0a0b0c0d", Purpose.REHEARSAL),
        ("preview/pr-12", Purpose.PREVIEW),
        ("preview/", None),
        ("preview", None),
        ("main", None),
        ("rehearsals/x", None),
    ],
)
def test_a_branch_says_by_its_name_what_it_is_for(name: str, purpose: Purpose | None) -> None:
    assert purpose_of(name) is purpose
