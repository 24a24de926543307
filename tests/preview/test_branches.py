"""`./inv branches`: whose each branch is, and what goes when somebody cleans up."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pipeline.kept_points import keep
from pipeline.leases import Purpose, Source, own_name, take
from pipeline.neon import NeonClient
from tests.neon.conftest import QUICK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.preview.clone import Clone
    from tests.support.neon_cli import NeonCli

HOUR = timedelta(hours=1)


@pytest.fixture
def client(team: Clone) -> Iterator[NeonClient]:
    environment = team.emulator.environment
    with NeonClient(environment["NEON_API_KEY"], base_url=environment["NEON_API_URL"], policy=QUICK) as made:
        yield made


def of_a_dead_run(client: NeonClient, source: Source, purpose: Purpose) -> str:
    name = own_name().split("-")
    name[-2] = "4194304"  # above every process id that there can be
    return take(client, source, purpose, "-".join(name), lasts=HOUR).branch.name


def test_whose_each_branch_is_and_only_what_ended_runs_left_goes(
    team: Clone, client: NeonClient, neon_cli: NeonCli
) -> None:
    source = Source(team.project_id, str(team.project["branch"]["id"]), "", "")
    living = take(client, source, Purpose.REHEARSAL, own_name(), lasts=HOUR).branch.name
    preview = take(client, source, Purpose.PREVIEW, "pr-7", lasts=HOUR).branch.name
    point = keep(client, source, "prod", "0007_drop_notes", lasts=HOUR).branch.name
    dead = {of_a_dead_run(client, source, purpose) for purpose in (Purpose.REHEARSAL, Purpose.LOOK)}
    client.create_branch(team.project_id, "kept/prod-undone-0007-at-0_1")  # as a restore in place leaves it
    soon = datetime.now(UTC).replace(microsecond=0) + HOUR
    theirs = {"preview/by hand", "experiment", f"look/{own_name()}-theirs"}
    for name in theirs:
        client.create_branch(team.project_id, name, expires_at=soon if name.startswith("look") else None)

    found = {each["name"]: each for each in json.loads(team.ok("branches", "--json"))["branches"]}
    whose = {name: each["purpose"] or each["stack"] for name, each in found.items()}
    assert whose == {
        "main": "prod",
        "dev": "dev",
        living: "rehearsal",
        preview: "preview",
        point: "kept",
        "kept/prod-undone-0007-at-0_1": "kept",
        **{name: name.partition("/")[0] for name in dead},
        "preview/by hand": None,
        "experiment": None,
        next(name for name in theirs if name.startswith("look")): "look",
    }
    assert found[preview]["expires_in"] > 3000
    listed = team.ok("branches")
    rows = {line.split()[0]: line for line in listed.splitlines()[2:]}
    assert "  preview  " in rows[preview]
    assert "nobody's" in rows["experiment"]
    assert "stack dev" in rows["dev"]

    cleaned = json.loads(team.ok("branches", "--clean", "--json"))
    assert set(cleaned["deleted"]) == dead
    assert set(team.names()) == set(whose) - dead
    assert {each["name"] for each in neon_cli.ok("branches", "list", "--project-id", team.project_id)} == set(
        team.names()
    )
    assert team.ok("branches", "--clean").startswith("0 branches deleted\n")
