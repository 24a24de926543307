"""A branch with rows in it is never lost: a destroy that Neon would refuse changes nothing, and a stack takes its branch back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services import DATABASE, OWNER
from tests.engine.workspace import Failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbclient.url import DatabaseURL
    from tests.engine.workspace import Workspace

    Query = Callable[[DatabaseURL, str], list[tuple[object, ...]]]

GUARD = "pulumi-python:dynamic/neon:BranchGuard"
BRANCH = "neon:index/branch:Branch"


@pytest.fixture
def written(owner: Workspace, branch: str, query: Query) -> str:
    """A branch stack that is up and has a row."""
    owner.up(branch)
    query(owner.url(branch), "CREATE TABLE kept AS SELECT 'a row' AS what")
    return branch


def test_a_destroy_of_a_branch_with_a_stack_below_it_is_refused_and_changes_nothing(
    owner: Workspace, written: str, query: Query
) -> None:
    below = f"{written}below"
    owner.init(below)
    owner.set(below, owns="branch", parentStack=written)
    owner.up(below)
    url = owner.url(written)
    part = owner.resources(written)[BRANCH]["urn"]
    for flags in ((), ("--continue-on-error",), ("--target", part, "--target-dependents")):
        said = _refused(owner, written, *flags)
        assert f"has children: {below} (br-" in said
        assert "nothing was changed" in said
        assert "pulumi destroy --stack NAME" in said
        assert _has_its_row(owner, written, query, url)
    owner.up(written, "--expect-no-changes")
    # a stack that an earlier version made has no guard yet
    owner.pulumi("state", "delete", owner.resources(written)[GUARD]["urn"], "--yes", "--stack", written)
    assert "has children" in _refused(owner, written)
    assert _has_its_row(owner, written, query, url)
    owner.up(written)
    owner.destroy(below)
    owner.destroy(written)
    assert written not in owner.branches(owner.outputs("prod")["project_id"])


def test_a_protected_branch_is_protected_in_pulumi_too_until_the_setting_goes(
    owner: Workspace, written: str, query: Query
) -> None:
    owner.set(written, protected="true")
    owner.up(written)
    url = owner.url(written)
    assert "protected" in _refused(owner, written)
    owner.pulumi("state", "unprotect", "--all", "--yes", "--stack", written)
    said = _refused(owner, written)
    assert "is protected; nothing was changed" in said
    assert f"pulumi config set --stack {written} protected false" in said
    assert _has_its_row(owner, written, query, url)
    owner.set(written, protected="false")
    owner.up(written)
    owner.destroy(written)
    assert written not in owner.branches(owner.outputs("prod")["project_id"])


def test_a_branch_that_was_forgotten_is_not_deleted_and_taken_back_in_with_its_rows(
    owner: Workspace, written: str, query: Query
) -> None:
    outputs = owner.outputs(written)
    urn = owner.resources(written)[BRANCH]["urn"]
    owner.pulumi("state", "delete", urn, "--target-dependents", "--yes", "--stack", written)
    said = _refused(owner, written)
    assert "which the state does not know: it was not deleted" in said
    assert f"pulumi config set --stack {written} branchId {outputs['branch_id']}" in said
    said = owner.up(written)
    assert "taken back in, with its rows" in said
    assert owner.outputs(written)["branch_id"] == outputs["branch_id"]
    assert query(owner.url(written), "SELECT what FROM kept") == [("a row",)]
    owner.up(written, "--expect-no-changes")


def test_a_branch_that_a_refresh_lost_is_taken_back_in_with_its_rows(
    owner: Workspace, written: str, query: Query
) -> None:
    outputs = owner.outputs(written)
    urn = owner.resources(written)[BRANCH]["urn"]
    owner.emulator.fault(route="GET /projects/*/branches/*", status=404)
    owner.pulumi("refresh", "--yes", "--skip-preview", "--stack", written, "--target", urn)
    assert BRANCH not in owner.resources(written)
    assert "taken back in, with its rows" in owner.up(written)
    assert owner.outputs(written)["branch_id"] == outputs["branch_id"]
    assert query(owner.url(written), "SELECT what FROM kept") == [("a row",)]


def test_a_stack_takes_a_branch_in_by_its_id_and_lets_it_go_again(owner: Workspace, branch: str, query: Query) -> None:
    project = owner.outputs("prod")["project_id"]
    theirs = _made_elsewhere(owner, branch, query)
    said = owner.failed_up(branch)
    assert f"pulumi config set --stack {branch} branchId {theirs}" in said
    owner.set(branch, branchId=theirs)
    for _ in range(2):
        owner.up(branch)
        assert owner.outputs(branch)["branch_id"] == theirs
        assert query(owner.url(branch), "SELECT what FROM kept") == [("a row",)]
    owner.up(branch, "--expect-no-changes")
    owner.destroy(branch)
    assert branch not in owner.branches(project)


def test_the_id_of_the_branch_that_a_stack_has_may_be_written_into_its_settings(
    owner: Workspace, written: str, query: Query
) -> None:
    owner.set(written, branchId=owner.outputs(written)["branch_id"])
    owner.up(written, "--expect-no-changes")
    owner.set(written, branchId="br-of-somebody-1")
    assert "the stack has another branch" in owner.failed_up(written)
    assert query(owner.url(written), "SELECT what FROM kept") == [("a row",)]
    owner.unset(written, "branchId")


def test_a_branch_id_that_is_not_there_is_named(owner: Workspace, branch: str) -> None:
    owner.set(branch, branchId="br-of-nobody-1")
    said = owner.failed_up(branch)
    assert "the setting branchId is 'br-of-nobody-1', which is not a branch of the project" in said
    assert f"pulumi config rm --stack {branch} branchId" in said
    owner.unset(branch, "branchId")


def test_another_parent_is_refused_and_changes_nothing(owner: Workspace, written: str, query: Query) -> None:
    project = owner.outputs(written)["project_id"]
    other = owner.neon.create_branch(project, f"{written}-other").branch
    owner.unset(written, "parentStack")
    owner.set(written, projectId=project, parentBranchId=other.id)
    said = owner.failed_up(written)
    assert "A branch cannot move; nothing was changed" in said
    assert query(owner.url(written), "SELECT what FROM kept") == [("a row",)]
    owner.destroy(written)
    owner.up(written)
    assert owner.neon.branch(project, owner.outputs(written)["branch_id"]).parent_id == other.id
    owner.destroy(written)
    owner.neon.delete_branch(project, other.id)


def test_a_compute_that_was_lost_with_its_branch_leaves_the_rows(owner: Workspace, written: str, query: Query) -> None:
    """What a destroy by an earlier version left that Neon refused at last: a branch with rows and no compute."""
    outputs = owner.outputs(written)
    project, lost = outputs["project_id"], outputs["branch_id"]
    owner.pulumi(
        *("state", "delete", owner.resources(written)[BRANCH]["urn"], "--target-dependents", "--yes"),
        *("--stack", written),
    )
    owner.neon.delete_endpoint(project, outputs["endpoint_id"])
    child = owner.neon.create_branch(project, f"{written}-child", parent_id=lost).branch
    assert "has children" in _refused(owner, written)
    owner.up(written)
    assert owner.outputs(written)["branch_id"] == lost
    assert query(owner.url(written), "SELECT what FROM kept") == [("a row",)]
    owner.neon.delete_branch(project, child.id)


def _made_elsewhere(owner: Workspace, name: str, query: Query) -> str:
    """A branch with a row and without a compute; returns its id."""
    prod = owner.outputs("prod")
    path = f"/projects/{prod['project_id']}"
    body = {"branch": {"name": name}, "endpoints": [{"type": "read_write"}]}
    made = owner.emulator.ok("POST", f"{path}/branches", json=body)
    url = owner.neon.connection_uri(prod["project_id"], branch_id=made["branch"]["id"], database=DATABASE, role=OWNER)
    query(url, "CREATE TABLE kept AS SELECT 'a row' AS what")
    owner.neon.delete_endpoint(prod["project_id"], made["endpoints"][0]["id"])
    return str(made["branch"]["id"])


def _refused(owner: Workspace, stack: str, *flags: str) -> str:
    """A destroy that must fail; returns what it said, on one line."""
    with pytest.raises(Failed) as caught:
        owner.pulumi("destroy", "--yes", "--skip-preview", "--stack", stack, *flags)
    return " ".join(str(caught.value).split())


def _has_its_row(owner: Workspace, stack: str, query: Query, url: DatabaseURL) -> bool:
    return owner.url(stack) == url and query(url, "SELECT what FROM kept") == [("a row",)]
