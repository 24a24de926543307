"""A preview that is killed, interrupted, answered wrongly or refused: what is left, and what the next run makes of it."""

from __future__ import annotations

import signal
import subprocess
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.deploy.checkout import deploy
from pipeline.errors import WrongTarget
from pipeline.neon import NeonClient
from pipeline.preview import Wanted, prepare
from tests.neon.conftest import QUICK
from tests.support.mortal_client import Killed, MortalClient
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbclient.url import DatabaseURL
    from tests.preview.clone import Clone
    from tests.support.emulator import Emulator

PINNED = 'ALTER TABLE "Message" ADD COLUMN pinned boolean NOT NULL DEFAULT false;'
DAY = timedelta(days=1)


def client(team: Clone, kind: type[NeonClient] = NeonClient) -> NeonClient:
    environment = team.emulator.environment
    return kind(environment["NEON_API_KEY"], base_url=environment["NEON_API_URL"], policy=QUICK)


@pytest.mark.parametrize(
    ("wanted", "again"),
    [
        pytest.param(Wanted("pr-1", "dev", DAY), False, id="made"),
        pytest.param(Wanted("pr-1", "dev", DAY), True, id="taken back"),
        pytest.param(Wanted("pr-1", "prod", DAY), False, id="without rows"),
    ],
)
def test_killed_behind_each_call_the_same_command_comes_to_the_same_end(
    team: Clone, wanted: Wanted, again: bool
) -> None:
    team.write(PINNED)
    if again:
        prepare(team.path, wanted, client=lambda: client(team))
    for lives in count(1):
        mortal = client(team, MortalClient)
        assert isinstance(mortal, MortalClient)
        try:
            prepare(team.path, wanted, client=lambda mortal=mortal, lives=lives: mortal.mortal_for(lives))  # type: ignore[misc]
        except Killed:
            prepared = prepare(team.path, wanted, client=lambda: client(team))
            assert set(team.names()) <= {"dev", "main", "preview/pr-1", *lent(team)}
        else:
            break
        report = deploy(prepared.checkout)
        assert [each.id for each in report.applied] == ["0900_pending"]
        assert report.identity.branch_id == team.branch("preview/pr-1")["id"]
        if not again:
            team.emulator.delete_branch(team.project_id, prepared.lease.branch.id)
    assert lives >= 3


def lent(team: Clone) -> set[str]:
    """Copies of this process, which lives: a run of another process takes them away."""
    return {name for name in team.names() if name.startswith("look/")}


def test_a_signal_says_what_to_do_and_leaves_nothing_that_the_next_run_does_not_take(team: Clone) -> None:
    team.write(PINNED)
    team.emulator.fault(route="POST /projects/*/branches/*/roles/*/reset_password", status=423, times=1000)
    process = subprocess.Popen(
        team.command("preview", "--name", "pr-2"),
        cwd=team.path,
        env=team.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: "preview/pr-2" in team.names(), seconds=60)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "interrupted; the branch preview/pr-2 may be half made: the same command goes on with it." in said
    team.emulator.admin.delete("/faults")
    assert "1 migration applied" in team.ok("preview", "--name", "pr-2")


def test_an_address_that_leads_to_another_branch_is_neither_touched_nor_shown(team: Clone) -> None:
    """As an action once answered with production's URL where a branch was there already."""
    team.write(PINNED)

    class Confused(NeonClient):
        def connection_uri(self, *_: Any, **__: Any) -> DatabaseURL:
            return team.url

    with pytest.raises(WrongTarget, match="and not preview/pr-3") as refused:
        prepare(team.path, Wanted("pr-3", "dev", DAY), client=lambda: client(team, Confused))
    assert team.url.password is not None
    assert team.url.password not in str(refused.value)
    assert team.run(team.url, "SELECT count(*) FROM migration_history._yoyo_migration") == [(6,)]


def test_where_the_plan_has_no_room_one_sentence_says_what_to_delete(
    team: Clone, another_emulator: Callable[..., Emulator]
) -> None:
    free = another_emulator("--plan", "free")
    project = free.create_project()
    for number in range(9):
        free.ok("POST", f"/projects/{project['project']['id']}/branches", json={"branch": {"name": f"dev-{number}"}})
    file = team.path / "Pulumi.dev.yaml"
    kept = file.read_text()
    try:
        file.write_text(kept.replace(team.project_id, project["project"]["id"]) + "  branchName: main\n")
        done = team.verb(
            "preview",
            "--name",
            "pr-4",
            "--with-data",
            **{n: free.environment[n] for n in ("NEON_API_URL", "NEON_API_KEY")},
        )
    finally:
        file.write_text(kept)
    assert done.returncode == 5, done.stderr
    assert "Neon's plan allows no more branches in this project, which has 10" in done.stderr
    assert "./inv branches --clean" in done.stderr


def test_a_schema_without_rows_is_a_root_branch_of_which_a_plan_allows_few(team: Clone) -> None:
    team.emulator.fault(moment="not-yet")  # of the position: the first of the two branches asks for none
    assert "6 migrations applied already" in team.ok("preview", "--name", "pr-5", "--from", "prod")
    team.ok("preview", "--name", "pr-5", "--down")
    taken: list[str] = []
    while True:
        body = {"branch": {"name": f"bare-{len(taken)}", "init_source": "schema-only"}}
        answer = team.emulator.answer("POST", f"/projects/{team.project_id}/branches", json=body)
        if not answer.is_success:
            break
        taken.append(answer.json()["branch"]["id"])
    done = team.verb("preview", "--name", "pr-6", "--from", "prod")
    assert done.returncode == 5
    assert f"Neon's plan allows no more root branches in this project, which has {len(taken) + 1}" in done.stderr
    assert "None of them is the pipeline's" in done.stderr
    assert not [name for name in team.names() if name.startswith(("look/", "preview/"))]
