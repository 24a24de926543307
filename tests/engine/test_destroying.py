"""What `pulumi destroy` takes along, and what it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.workspace import Failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbclient.url import DatabaseURL
    from tests.engine.workspace import Workspace

    Query = Callable[[DatabaseURL, str], list[tuple[object, ...]]]


def test_dev_is_destroyed_and_made_again(both: Workspace, query: Query) -> None:
    project = both.outputs("prod")["project_id"]
    both.destroy("dev")
    assert both.branches(project) == ["main"]
    query(both.url("prod"), "SELECT 1")
    both.up("dev")
    query(both.url("dev"), "SELECT 1")


def test_a_destroy_of_prod_is_refused_and_changes_nothing(prod: Workspace, query: Query) -> None:
    before = prod.outputs("prod")
    with pytest.raises(Failed, match="protected"):
        prod.destroy("prod")
    assert prod.projects() == [before["project_id"]]
    query(prod.url("prod"), "SELECT 1")
    prod.up("prod", "--expect-no-changes")


def test_a_prod_that_was_unprotected_on_purpose_leaves_its_project_on_neon(prod: Workspace, query: Query) -> None:
    url, project = prod.url("prod"), prod.outputs("prod")["project_id"]
    prod.pulumi("state", "unprotect", "--all", "--yes", "--stack", "prod")
    prod.destroy("prod")
    assert prod.projects() == [project]
    query(url, "SELECT 1")


def test_a_project_that_the_state_forgot_on_purpose_is_taken_over_with_every_password_and_url(prod: Workspace) -> None:
    """The steps of docs/infrastructure.md, Moving to the official provider, with the provider that is here."""
    before = prod.outputs("prod")
    urn = prod.resources("prod")["neon:index/project:Project"]["urn"]
    prod.pulumi("state", "unprotect", "--all", "--yes", "--stack", "prod")
    with pytest.raises(Failed, match="target-dependents"):
        prod.pulumi("state", "delete", urn, "--yes", "--stack", "prod")
    prod.pulumi("state", "delete", urn, "--target-dependents", "--yes", "--stack", "prod")
    prod.set("prod", projectId=before["project_id"])
    prod.up("prod")
    assert prod.outputs("prod") == before
