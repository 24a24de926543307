"""Neon's API goes wrong in the middle of a run: the run ends in a true state, and the next one converges."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.neon import survey
from tests.engine.workspace import Failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatdb.url import DatabaseURL
    from tests.engine.workspace import Workspace

    Query = Callable[[DatabaseURL, str], list[tuple[object, ...]]]

BRANCHES = "POST /projects/*/branches"
ENDPOINTS = "POST /projects/*/endpoints"
RESET = "POST /projects/*/branches/*/roles/*/reset_password"
PROJECTS = "POST /projects"
REVEAL = "GET /projects/*/branches/*/roles/*/reveal_password"

REFUSALS: list[dict[str, Any]] = [{"status": status} for status in (423, 429, 500, 503, 524)]
ACTED: list[dict[str, Any]] = [
    {"status": 500, "after_effect": True},
    {"status": 503, "after_effect": True},
    {"kind": "lost"},
]


@pytest.mark.parametrize("route", [BRANCHES, ENDPOINTS, RESET])
@pytest.mark.parametrize("fault", REFUSALS + ACTED, ids=lambda fault: "-".join(map(str, fault.values())))
def test_dev_converges_after_a_fault_of_the_api(
    prod: Workspace, route: str, fault: dict[str, Any], query: Query
) -> None:
    prod.emulator.fault(route=route, **fault)
    with suppress(Failed):
        prod.up("dev")
    prod.up("dev")
    outputs = prod.outputs("dev")
    project = outputs["project_id"]
    assert prod.branches(project) == ["dev", "main"]
    assert [e.id for e in prod.neon.endpoints(project, outputs["branch_id"])] == [outputs["endpoint_id"]]
    query(prod.url("dev"), "SELECT 1")
    assert set(prod.summary("dev", "--refresh")) == {"same"}


def test_a_branch_that_somebody_uses_is_never_taken_for_a_leftover(prod: Workspace) -> None:
    outputs = prod.outputs("prod")
    branch = prod.emulator.ok(
        "POST",
        f"/projects/{outputs['project_id']}/branches",
        json={"branch": {"name": "dev"}, "endpoints": [{"type": "read_write"}]},
    )["branch"]
    said = prod.failed_up("dev")
    assert f"already has a branch dev ({branch['id']}), with a compute" in said
    assert prod.neon.branch(outputs["project_id"], branch["id"]).name == "dev"


def test_a_compute_that_failed_to_start_is_started_again(prod: Workspace, query: Query) -> None:
    prod.emulator.fault(operation="start_compute", message="no capacity")
    prod.up("dev")
    query(prod.url("dev"), "SELECT 1")


def test_a_compute_that_keeps_failing_fails_the_run_and_the_next_one_converges(prod: Workspace, query: Query) -> None:
    prod.emulator.fault(operation="start_compute", message="no capacity", times=2)
    said = prod.failed_up("dev")
    assert "start_compute of ep-" in said
    assert "ended as failed: no capacity" in said
    assert "database_url" not in prod.outputs("dev"), "nothing is published before the compute is there"
    prod.up("dev")
    query(prod.url("dev"), "SELECT 1")


def test_a_branch_that_was_not_made_well_is_named_and_made_anew(prod: Workspace, query: Query) -> None:
    prod.emulator.fault(operation="create_branch", message="storage is full")
    said = prod.failed_up("dev")
    assert "was not made well" in said
    assert "storage is full" in said
    assert "pulumi destroy, then pulumi up" in said
    prod.destroy("dev")
    prod.up("dev")
    assert prod.branches(prod.outputs("dev")["project_id"]) == ["dev", "main"]
    query(prod.url("dev"), "SELECT 1")


def test_slow_operations_are_waited_for(prod: Workspace, query: Query) -> None:
    prod.emulator.fault(operation="*", seconds=2, times=3)
    prod.up("dev")
    query(prod.url("dev"), "SELECT 1")


def test_a_delete_that_was_refused_with_422_is_done_after_all(both: Workspace) -> None:
    project = both.outputs("prod")["project_id"]
    both.emulator.fault(route="DELETE /projects/*/branches/*", status=422, message="branch not ready yet")
    both.destroy("dev")
    assert both.branches(project) == ["main"]


def test_a_delete_that_is_refused_again_and_again_fails_the_run_and_the_next_one_converges(both: Workspace) -> None:
    project = both.outputs("prod")["project_id"]
    both.emulator.fault(route="DELETE /projects/*/branches/*", status=422, message="branch not ready yet", times=2)
    with pytest.raises(Failed, match="branch not ready yet"):
        both.destroy("dev")
    assert both.branches(project) == ["dev", "main"]
    assert "pulumi-python:dynamic/neon:BranchRemoval" in both.resources("dev"), "the state still knows of it"
    both.destroy("dev")
    assert both.branches(project) == ["main"]


@pytest.mark.parametrize("fault", [{"status": 503, "after_effect": True}, {"kind": "lost"}], ids=["503", "lost"])
def test_a_project_whose_creation_was_not_heard_of_is_named_and_taken_over(
    workspace: Workspace, fault: dict[str, Any], query: Query
) -> None:
    workspace.init("prod")
    workspace.emulator.fault(route=PROJECTS, **fault)
    workspace.failed_up("prod")
    [orphan] = workspace.projects()
    said = workspace.failed_up("prod")
    assert f"pulumi config set projectId {orphan}" in said
    assert workspace.projects() == [orphan], "no second project is made"
    workspace.set("prod", projectId=orphan)
    workspace.up("prod")
    assert workspace.outputs("prod")["project_id"] == orphan
    query(workspace.url("prod"), "SELECT 1")


@pytest.mark.parametrize("status", [423, 429, 500])
def test_an_orphan_that_the_provider_leaves_is_named_by_the_survey(workspace: Workspace, status: int) -> None:
    workspace.init("prod")
    workspace.emulator.fault(route=REVEAL, status=status)
    workspace.up("prod")
    project = workspace.outputs("prod")["project_id"]
    [orphan] = survey(workspace.neon, project).namesakes
    assert {orphan.id, project} == set(workspace.projects())


def test_prod_converges_after_a_password_that_could_not_be_read(workspace: Workspace, query: Query) -> None:
    workspace.init("prod")
    workspace.emulator.fault(route=REVEAL, status=503)
    workspace.failed_up("prod")
    [project] = workspace.projects()
    with suppress(Failed):
        workspace.up("prod")
    if "project_id" not in workspace.outputs("prod"):
        workspace.set("prod", projectId=project)
        workspace.up("prod")
    assert workspace.projects() == [project]
    query(workspace.url("prod"), "SELECT 1")


def test_a_project_that_fell_out_of_the_state_is_not_made_twice(prod: Workspace) -> None:
    project = prod.outputs("prod")["project_id"]
    # the provider takes any 404 of a refresh for "the project is gone"
    prod.emulator.fault(route=REVEAL, status=404)
    prod.pulumi("refresh", "--yes", "--skip-preview", "--stack", "prod")
    assert "neon:index/project:Project" not in prod.resources("prod")
    assert f"pulumi config set projectId {project}" in prod.failed_up("prod")
    prod.set("prod", projectId=project)
    prod.up("prod")
    assert prod.outputs("prod")["project_id"] == project
    assert prod.projects() == [project]


def test_an_empty_password_is_never_published(prod: Workspace) -> None:
    prod.emulator.fault(route=RESET, status=404)
    said = prod.failed_up("dev")
    assert "404" in said
    assert "database_url" not in prod.outputs("dev")
    prod.up("dev")
    assert prod.url("dev").password


def test_a_dropped_database_does_not_replace_the_project(prod: Workspace) -> None:
    outputs = prod.outputs("prod")
    path = f"/projects/{outputs['project_id']}/branches/{outputs['branch_id']}"
    prod.emulator.ok("POST", f"{path}/roles", json={"role": {"name": "another_owner"}})
    prod.emulator.ok("POST", f"{path}/databases", json={"database": {"name": "another", "owner_name": "another_owner"}})
    prod.emulator.ok("DELETE", f"{path}/databases/chat")
    summary = prod.summary("prod", "--refresh")
    assert set(summary) == {"same"}
