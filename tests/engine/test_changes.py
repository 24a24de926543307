"""A setting changes, or something changes behind Pulumi's back: what the next `pulumi up` makes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from services import DATABASE, OWNER

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbclient.url import DatabaseURL
    from tests.engine.workspace import Workspace

    Query = Callable[[DatabaseURL, str], list[tuple[object, ...]]]


def test_a_changed_size_reaches_the_compute_of_main(prod: Workspace) -> None:
    outputs = prod.outputs("prod")
    prod.set("prod", maxCu="4", suspendTimeoutSeconds="600")
    prod.up("prod")
    compute = prod.neon.endpoint(outputs["project_id"], outputs["endpoint_id"]).compute
    assert (compute.min_cu, compute.max_cu, compute.suspend_timeout_seconds) == (0.25, 4, 600)
    assert set(prod.summary("prod", "--refresh")) == {"same"}


def test_a_size_that_was_changed_in_the_console_is_put_back(prod: Workspace) -> None:
    outputs = prod.outputs("prod")
    path = f"/projects/{outputs['project_id']}/endpoints/{outputs['endpoint_id']}"
    prod.emulator.ok("PATCH", path, json={"endpoint": {"autoscaling_limit_max_cu": 8}})
    prod.up("prod", "--refresh")
    assert prod.neon.endpoint(outputs["project_id"], outputs["endpoint_id"]).compute.max_cu == 2


def test_history_and_protection_change_in_place(prod: Workspace) -> None:
    outputs = prod.outputs("prod")
    prod.set("prod", historyRetentionSeconds="604800", protected="true")
    prod.up("prod")
    assert prod.neon.project(outputs["project_id"]).history_retention_seconds == 604_800
    assert prod.neon.branch(outputs["project_id"], outputs["branch_id"]).protected


def test_another_version_of_a_password_makes_another_password_and_leaves_the_rest(
    prod: Workspace, query: Query
) -> None:
    before = prod.outputs("prod")
    old = prod.url("prod")
    prod.set("prod", ownerPasswordVersion="2")
    prod.up("prod")
    after = prod.outputs("prod")
    assert [name for name in before if before[name] != after[name]] == ["database_url"]
    query(prod.url("prod"), "SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        query(old, "SELECT 1")
    prod.set("prod", serverPasswordVersion="2")
    prod.up("prod")
    last = prod.outputs("prod")
    assert [name for name in after if after[name] != last[name]] == ["server_database_url"]


def test_a_password_that_was_reset_in_the_console_is_published_by_a_refreshing_up(
    both: Workspace, query: Query
) -> None:
    for stack in ("prod", "dev"):
        outputs = both.outputs(stack)
        both.neon.reset_password(outputs["project_id"], outputs["branch_id"], OWNER)
        both.up(stack, "--refresh")
        query(both.url(stack), "SELECT 1")


def test_a_renamed_branch_stays_the_same_branch(both: Workspace) -> None:
    before = both.outputs("dev")
    both.set("dev", branchName="development")
    both.up("dev")
    after = both.outputs("dev")
    assert (after["branch_id"], after["branch_name"]) == (before["branch_id"], "development")
    assert both.branches(before["project_id"]) == ["development", "main"]


def test_a_branch_expires_when_the_setting_says_and_stays_when_it_is_taken_away(both: Workspace) -> None:
    outputs = both.outputs("dev")
    ids = outputs["project_id"], outputs["branch_id"]
    moment = (datetime.now(UTC) + timedelta(days=7)).replace(microsecond=0)
    both.set("dev", expiresAt=moment.isoformat())
    both.up("dev")
    assert both.neon.branch(*ids).expires_at == moment
    assert set(both.summary("dev", "--refresh")) == {"same"}
    both.neon.expire_branch(*ids, moment + timedelta(days=1))
    both.up("dev", "--refresh")
    assert both.neon.branch(*ids).expires_at == moment, "what was changed in the console is put back"
    both.unset("dev", "expiresAt")
    both.up("dev")
    assert both.neon.branch(*ids).expires_at is None


def test_a_stack_of_its_own_needs_a_file_of_settings_and_no_code(prod: Workspace) -> None:
    prod.init("staging")
    prod.set("staging", owns="branch", parentStack="prod")
    prod.up("staging")
    assert prod.outputs("staging")["branch_name"] == "staging"
    assert prod.url("staging").password != prod.url("prod").password


def test_on_a_free_plan_the_defaults_are_taken_and_dev_gets_a_password_of_its_own(
    free: Workspace, query: Query
) -> None:
    free.init("prod", "dev")
    free.up("prod")
    free.up("dev")
    stolen = free.url("dev").copy_with(password=free.url("prod").password)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        query(stolen, "SELECT 1")
    query(free.url("dev"), "SELECT 1")


def test_a_wrong_setting_says_which_and_how_to_set_it(workspace: Workspace) -> None:
    workspace.init("prod")
    workspace.set("prod", owns="everything")
    said = workspace.failed_up("prod")
    assert "stack prod: the setting owns is 'everything'. Allowed: project" in said
    assert "pulumi config set --stack prod owns" in said
    assert "Traceback" not in said
    assert workspace.projects() == []


def test_dev_before_prod_says_which_stack_has_to_be_made_first(workspace: Workspace) -> None:
    workspace.init("prod", "dev")
    said = workspace.failed_up("dev")
    assert "the stack prod is not made yet. Make it first: pulumi up --stack prod" in said
    assert workspace.projects() == []


def test_an_existing_project_is_taken_over_with_its_data(workspace: Workspace, query: Query) -> None:
    branch = {"name": "main", "role_name": OWNER, "database_name": DATABASE}
    limits = {"autoscaling_limit_min_cu": 0.25, "autoscaling_limit_max_cu": 2, "suspend_timeout_seconds": 0}
    made = workspace.emulator.ok(
        "POST",
        "/projects",
        json={
            "project": {
                "name": workspace.project_name,
                "branch": branch,
                "default_endpoint_settings": limits,
                "history_retention_seconds": 21_600,
                "region_id": "aws-us-east-1",
                "pg_version": 16,
            }
        },
    )
    workspace.init("prod")
    workspace.set("prod", projectId=made["project"]["id"], ownerPasswordVersion="0")
    workspace.up("prod")
    outputs = workspace.outputs("prod")
    assert outputs["project_id"] == made["project"]["id"]
    assert workspace.url("prod").password == made["roles"][0]["password"], "a version of 0 leaves the password alone"
    query(workspace.url("prod"), "SELECT 1")
    assert set(workspace.summary("prod", "--refresh")) == {"same"}
    assert workspace.projects() == [made["project"]["id"]]


def test_taking_over_a_project_of_another_region_is_refused_and_makes_nothing(prod: Workspace) -> None:
    project = prod.outputs("prod")["project_id"]
    prod.init("other")
    prod.set("other", owns="project", projectName=prod.project_name, projectId=project, regionId="aws-eu-central-1")
    assert "unable to replace resource" in prod.failed_up("other")
    assert prod.projects() == [project]
    assert prod.neon.project(project).region_id == "aws-us-east-1"
