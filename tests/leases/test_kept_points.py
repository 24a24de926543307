"""Kept points on the emulator: what Neon's own command line sees, too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.kept_points import keep, kept_points
from pipeline.leases import Purpose, Source, take
from pipeline.neon import ApiError, Compute, Moment, NeonClient
from tests.emulator.moments import items, write
from tests.emulator.urls import uri
from tests.neon.conftest import QUICK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.emulator import Emulator
    from tests.support.neon_cli import NeonCli

Json = dict[str, Any]
WEEK = timedelta(days=7)


@pytest.fixture
def client(emulator: Emulator) -> Iterator[NeonClient]:
    environment = emulator.environment
    with NeonClient(environment["NEON_API_KEY"], base_url=environment["NEON_API_URL"], policy=QUICK) as made:
        yield made


def test_a_point_keeps_what_was_there_at_its_position_without_a_compute(
    client: NeonClient, project: Json, neon_cli: NeonCli
) -> None:
    project_id, main = project["project"]["id"], project["branch"]["id"]
    good, _ = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id", "DELETE FROM item")
    source = Source(project_id, main, "app_owner", "app", Moment(lsn=good))
    point = keep(client, source, "prod", "0007_drop_notes", lasts=WEEK)
    assert client.endpoints(project_id, point.branch.id) == []
    assert point.branch.parent_lsn is not None
    assert point.branch.expires_at is not None
    assert WEEK - timedelta(minutes=5) < point.branch.expires_at - datetime.now(UTC) <= WEEK
    assert {each["name"] for each in neon_cli.ok("branches", "list", "--project-id", project_id)} == {
        "main",
        f"kept/prod-before-0007_drop_notes-{point.at:%Y%m%dT%H%M%SZ}",
    }
    there = take(client, Source(project_id, main, "app_owner", "app"), Purpose.LOOK, "now", lasts=WEEK, compute=SMALL)
    assert there.url is not None
    assert items(there.url.for_psycopg().dsn) == []
    restored = client.restore_branch(project_id, there.branch.id, source_id=point.branch.id)
    assert items(
        client.connection_uri(project_id, branch_id=restored.id, database="app", role="app_owner").reveal()
    ) == [1]


def test_a_deploy_that_is_run_again_has_one_point_for_a_migration(client: NeonClient, project: Json) -> None:
    project_id = project["project"]["id"]
    source = Source(project_id, project["branch"]["id"], "app_owner", "app")
    of_dev = keep(client, source, "dev", "0007_drop_notes", lasts=WEEK)
    other = keep(client, source, "prod", "0006_drop_pins", lasts=WEEK)
    for _ in range(3):
        last = keep(client, source, "prod", "0007_drop_notes", lasts=WEEK)
    by_hand = client.create_branch(project_id, "kept/prod-before-0007_drop_notes-20260101T000000Z").branch
    branches = client.branches(project_id)
    found = kept_points(branches, "prod")
    assert {point.branch.id for point in found} == {last.branch.id, other.branch.id}
    assert [point.migration for point in kept_points(branches, "dev")] == ["0007_drop_notes"]
    assert {of_dev.branch.id, by_hand.id} < {branch.id for branch in branches}


def test_where_the_plan_has_no_room_one_sentence_says_what_could_go(
    another_emulator: Callable[..., Emulator],
) -> None:
    emulator = another_emulator("--plan", "free")
    project = emulator.create_project()
    environment = emulator.environment
    source = Source(project["project"]["id"], project["branch"]["id"], "app_owner", "app")
    with NeonClient(environment["NEON_API_KEY"], base_url=environment["NEON_API_URL"], policy=QUICK) as client:
        for number in range(2, 9):
            take(client, source, Purpose.PREVIEW, f"pr-{number}", lasts=WEEK)
        client.create_branch(source.project_id, "dev")
        keep(client, source, "prod", "0006_drop_pins", lasts=WEEK)
        with pytest.raises(ApiError) as refused:
            keep(client, source, "prod", "0007_drop_notes", lasts=WEEK)
    assert refused.value.exit_code == 5
    assert refused.value.message == "Neon's plan allows no more branches in this project, which has 10"
    assert "./inv branches --clean" in refused.value.remedy
    assert f"preview/pr-2 (of {datetime.now(UTC):%Y-%m-%d}), preview/pr-3" in refused.value.remedy
    assert refused.value.remedy.endswith("and 3 more.")


SMALL = Compute(0.25, 1)
