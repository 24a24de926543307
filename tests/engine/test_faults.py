"""Neon's API goes wrong in the middle of a run: the run ends in a true state, and the next one converges."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.neon import list_branches
from services import DATABASE
from tests.engine.workspace import Failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbclient.url import DatabaseURL
    from tests.engine.workspace import Workspace

    Query = Callable[[DatabaseURL, str], list[tuple[object, ...]]]

BRANCHES = "POST /projects/*/branches"
ENDPOINTS = "POST /projects/*/endpoints"
RESET = "POST /projects/*/branches/*/roles/*/reset_password"
PROJECTS = "POST /projects"
REVEAL = "GET /projects/*/branches/*/roles/*/reveal_password"

# Every fault of the switchboard but hanging (the provider gives up after two minutes), spread over what dev makes.
FAULTS: list[tuple[str, dict[str, Any]]] = [
    (BRANCHES, {"status": 423}),
    (BRANCHES, {"status": 503}),
    (BRANCHES, {"status": 500, "after_effect": True}),
    (BRANCHES, {"status": 503, "after_effect": True}),
    (BRANCHES, {"kind": "lost"}),
    (ENDPOINTS, {"status": 429}),
    (ENDPOINTS, {"status": 500, "after_effect": True}),
    (ENDPOINTS, {"kind": "lost"}),
    (RESET, {"status": 500}),
    (RESET, {"status": 524}),
    (RESET, {"kind": "lost"}),
    (RESET, {"kind": "hang"}),
]


@pytest.mark.parametrize(("route", "fault"), FAULTS, ids=lambda part: str(part).split("/")[-1])
def test_a_branch_stack_converges_after_a_fault_of_the_api(
    owner: Workspace, branch: str, route: str, fault: dict[str, Any], query: Query
) -> None:
    owner.emulator.fault(route=route, **fault)
    with suppress(Failed):
        owner.up(branch)
    owner.up(branch)
    outputs = owner.outputs(branch)
    project = outputs["project_id"]
    assert owner.branches(project) == [branch, "main"]
    assert [e.id for e in owner.neon.endpoints(project, outputs["branch_id"])] == [outputs["endpoint_id"]]
    query(owner.url(branch), "SELECT 1")
    if fault.get("kind") == "lost":  # one of each route: what was made half-way goes, too
        owner.destroy(branch)
        assert owner.branches(project) == ["main"]


@pytest.mark.parametrize("endpoints", [[], [{"type": "read_write"}]], ids=["without a compute", "with one"])
def test_a_branch_of_somebody_else_is_never_taken_for_a_leftover(
    owner: Workspace, branch: str, endpoints: list[dict[str, str]]
) -> None:
    project = owner.outputs("prod")["project_id"]
    theirs = owner.emulator.ok(
        "POST", f"/projects/{project}/branches", json={"branch": {"name": branch}, "endpoints": endpoints}
    )["branch"]
    said = owner.failed_up(branch)
    assert f"already has a branch {branch} ({theirs['id']}), which this stack did not make" in said
    owner.destroy(branch)
    assert owner.neon.branch(project, theirs["id"]).name == branch, "nor is it destroyed with the stack"
    owner.neon.delete_branch(project, theirs["id"])


def test_a_compute_that_failed_to_start_is_started_again(owner: Workspace, branch: str, query: Query) -> None:
    owner.emulator.fault(operation="start_compute", message="no capacity")
    owner.up(branch)
    query(owner.url(branch), "SELECT 1")


def test_a_compute_that_keeps_failing_fails_the_run_and_the_next_one_converges(
    owner: Workspace, branch: str, query: Query
) -> None:
    owner.emulator.fault(operation="start_compute", message="no capacity", times=2)
    said = owner.failed_up(branch)
    assert "start_compute of ep-" in said
    assert "ended as failed: no capacity" in said
    assert "Traceback" not in said
    assert "database_url" not in owner.outputs(branch), "nothing is published before the compute is there"
    owner.up(branch)
    query(owner.url(branch), "SELECT 1")


def test_a_branch_that_was_not_made_well_is_named_and_made_anew(owner: Workspace, branch: str, query: Query) -> None:
    owner.emulator.fault(operation="create_branch", message="storage is full")
    said = owner.failed_up(branch)
    assert "was not made well" in said
    assert "storage is full" in said
    assert f"pulumi destroy --stack {branch}, then pulumi up --stack {branch}" in said
    owner.destroy(branch)
    owner.up(branch)
    query(owner.url(branch), "SELECT 1")


def test_slow_operations_are_waited_for(owner: Workspace, branch: str, query: Query) -> None:
    owner.emulator.fault(operation="*", seconds=2, times=3)
    owner.up(branch)
    query(owner.url(branch), "SELECT 1")


def test_a_password_that_cannot_be_had_is_never_published_empty(owner: Workspace, branch: str) -> None:
    owner.emulator.fault(route=RESET, status=404)
    assert "404" in owner.failed_up(branch)
    assert "database_url" not in owner.outputs(branch)
    owner.up(branch)
    assert owner.url(branch).password


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


@pytest.mark.parametrize("status", [423, 429, 500, 503, 524])
def test_a_project_whose_creation_was_refused_is_made_once(workspace: Workspace, status: int) -> None:
    workspace.init("prod")
    workspace.emulator.fault(route=PROJECTS, status=status)
    with suppress(Failed):
        workspace.up("prod")
    workspace.up("prod")
    assert workspace.projects() == [workspace.outputs("prod")["project_id"]]


@pytest.mark.parametrize("fault", [{"status": 503, "after_effect": True}, {"kind": "lost"}], ids=["503", "lost"])
def test_a_project_whose_creation_was_not_heard_of_is_named_and_taken_over(
    workspace: Workspace, fault: dict[str, Any], query: Query
) -> None:
    workspace.init("prod")
    workspace.emulator.fault(route=PROJECTS, **fault)
    workspace.failed_up("prod")
    [orphan] = workspace.projects()
    said = workspace.failed_up("prod")
    assert f"pulumi config set --stack prod projectId {orphan}" in said
    assert workspace.projects() == [orphan], "no second project is made"
    workspace.set("prod", projectId=orphan)
    workspace.up("prod")
    assert workspace.outputs("prod")["project_id"] == orphan
    query(workspace.url("prod"), "SELECT 1")


@pytest.mark.parametrize("status", [423, 429, 500])
def test_an_orphan_that_the_provider_leaves_is_named_beside_the_branches(workspace: Workspace, status: int) -> None:
    workspace.init("prod")
    workspace.emulator.fault(route=REVEAL, status=status)
    workspace.up("prod")
    project = workspace.outputs("prod")["project_id"]
    [orphan] = list_branches(workspace.neon, project).namesakes
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


def test_a_project_that_was_not_made_well_names_the_first_failure_each_time_and_the_way_out_works(
    workspace: Workspace, query: Query
) -> None:
    workspace.init("prod")
    workspace.emulator.fault(operation="create_timeline", message="storage is full")
    for _ in range(2):
        said = workspace.failed_up("prod")
        assert "create_timeline of br-" in said
        assert "ended as failed: storage is full" in said
        assert "Traceback" not in said
    [broken] = workspace.projects()
    assert f"neonctl projects delete {broken}" in said
    workspace.set("prod", projectId=broken)
    workspace.pulumi("state", "unprotect", "--all", "--yes", "--stack", "prod")
    workspace.destroy("prod")
    workspace.emulator.delete_project(broken)
    workspace.unset("prod", "projectId")
    workspace.up("prod")
    assert workspace.projects() == [workspace.outputs("prod")["project_id"]] != [broken]
    query(workspace.url("prod"), "SELECT 1")


def test_a_project_that_fell_out_of_the_state_is_not_made_twice(prod: Workspace) -> None:
    project = prod.outputs("prod")["project_id"]
    # the provider takes any 404 of a refresh for "the project is gone"; another resource, refreshed beside it, asks the same
    urn = prod.resources("prod")["neon:index/project:Project"]["urn"]
    prod.emulator.fault(route=REVEAL, status=404)
    prod.pulumi("refresh", "--yes", "--skip-preview", "--stack", "prod", "--target", urn)
    assert "neon:index/project:Project" not in prod.resources("prod")
    assert f"pulumi config set --stack prod projectId {project}" in prod.failed_up("prod")
    prod.set("prod", projectId=project)
    prod.up("prod")
    assert prod.outputs("prod")["project_id"] == project
    assert prod.projects() == [project]


def test_a_dropped_database_does_not_replace_the_project(prod: Workspace) -> None:
    outputs = prod.outputs("prod")
    path = f"/projects/{outputs['project_id']}/branches/{outputs['branch_id']}"
    prod.emulator.ok("POST", f"{path}/roles", json={"role": {"name": "another_owner"}})
    prod.emulator.ok("POST", f"{path}/databases", json={"database": {"name": "another", "owner_name": "another_owner"}})
    prod.emulator.ok("DELETE", f"{path}/databases/{DATABASE}")
    summary = prod.summary("prod", "--refresh")
    assert set(summary) == {"same"}
