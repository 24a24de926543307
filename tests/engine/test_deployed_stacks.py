"""Both stacks, made from nothing: what they publish, and that it is true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from dbclient.url import DatabaseURL
from pipeline.environments.stack import read_stack, service_lines
from pipeline.errors import ConfigurationError
from services import DATABASE, OWNER, SERVICES
from tests.engine.workspace import URLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.workspace import Workspace

    Query = Callable[[DatabaseURL, str], list[tuple[object, ...]]]

STACKS = ("prod", "dev")


@pytest.mark.parametrize("stack", STACKS)
def test_a_second_up_changes_nothing(shared: Workspace, stack: str) -> None:
    said = shared.up(stack, "--expect-no-changes")
    assert "unchanged" in said


@pytest.mark.parametrize("stack", STACKS)
def test_a_refreshing_preview_plans_nothing(shared: Workspace, stack: str) -> None:
    assert set(shared.summary(stack, "--refresh")) == {"same"}


@pytest.mark.parametrize("stack", STACKS)
def test_no_password_and_no_key_can_be_read_in_the_state(shared: Workspace, stack: str) -> None:
    assert shared.secrets_in_clear(stack) == []


@pytest.mark.parametrize("stack", STACKS)
def test_a_plain_stack_output_shows_ids_and_hides_connection_strings(shared: Workspace, stack: str) -> None:
    outputs = shared.outputs(stack)  # from here on, the workspace looks for the passwords in all that pulumi says
    said = shared.pulumi("stack", "output", "--stack", stack)
    assert said.count("[secret]") == 3
    assert outputs["branch_id"] in said


@pytest.mark.parametrize("stack", STACKS)
def test_every_output_is_there(shared: Workspace, stack: str) -> None:
    outputs = shared.outputs(stack)
    ids = {"project_id", "branch_id", "branch_name", "endpoint_id", "endpoint_host"}
    assert outputs.keys() == {*URLS, *ids, "pooled_host", "region", "pg_version", "console_url"}
    assert all(outputs.values())
    assert (outputs["region"], outputs["pg_version"]) == ("aws-us-east-1", "16")
    url = DatabaseURL.parse(outputs["server_database_url"])
    assert outputs["pooled_host"] == (f"{url.host}:{url.port}" if url.port else url.host)
    assert outputs["branch_name"] == {"prod": "main", "dev": "dev"}[stack]


@pytest.mark.parametrize("stack", STACKS)
def test_the_owners_url_opens_the_server_of_this_very_branch(shared: Workspace, stack: str, query: Query) -> None:
    outputs = shared.outputs(stack)
    [(branch, endpoint, role, database)] = query(
        DatabaseURL.parse(outputs["database_url"]),
        "SELECT current_setting('neon.branch_id'), current_setting('neon.endpoint_id'), current_user, "
        "current_database()",
    )
    assert (branch, endpoint) == (outputs["branch_id"], outputs["endpoint_id"])
    assert (role, database) == (OWNER, DATABASE)


def test_both_stacks_are_branches_of_one_project(shared: Workspace) -> None:
    prod, dev = shared.outputs("prod"), shared.outputs("dev")
    assert prod["project_id"] == dev["project_id"]
    assert shared.neon.branch(dev["project_id"], dev["branch_id"]).parent_id == prod["branch_id"]


@pytest.mark.parametrize(("mine", "theirs"), [("prod", "dev"), ("dev", "prod")])
def test_one_branchs_password_does_not_open_the_other(shared: Workspace, mine: str, theirs: str, query: Query) -> None:
    stolen = shared.url(theirs).copy_with(password=shared.url(mine).password)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        query(stolen, "SELECT 1")


@pytest.mark.parametrize("name", ["server_database_url", "ai_service_database_url"])
def test_runtime_passwords_differ_between_the_stacks(shared: Workspace, name: str) -> None:
    assert shared.url("prod", name).password != shared.url("dev", name).password


def test_runtime_urls_lead_through_the_pooler_that_neon_names(shared: Workspace) -> None:
    outputs = shared.outputs("dev")
    pooled = shared.neon.connection_uri(
        outputs["project_id"], branch_id=outputs["branch_id"], database=DATABASE, role=OWNER, pooled=True
    )
    for name in ("server_database_url", "ai_service_database_url"):
        url = DatabaseURL.parse(outputs[name])
        assert (url.host, url.port) == (pooled.host, pooled.port)
    assert (pooled.host, pooled.port) != (shared.url("dev").host, shared.url("dev").port)


@pytest.mark.parametrize(("here", "there"), [("prod", "dev"), ("dev", "prod")])
def test_rows_of_one_branch_do_not_show_in_the_other(shared: Workspace, here: str, there: str, query: Query) -> None:
    query(shared.url(here), f"CREATE TABLE only_in_{here} (n int)")
    [(found,)] = query(shared.url(there), f"SELECT to_regclass('only_in_{here}')")
    assert found is None


def test_deploys_and_services_read_the_stack(shared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(shared, monkeypatch)
    outputs = read_stack("dev", shared.folder)
    assert outputs.branch_id == shared.outputs("dev")["branch_id"]
    [_, line] = service_lines(outputs, SERVICES[1])
    assert line == f'DATABASE_URL="{outputs.service_urls["ai_service"].for_asyncpg().dsn}"'
    assert str(outputs.database_url.password) not in repr(outputs)


@pytest.mark.parametrize(
    ("change", "message", "remedy"),
    [
        ({"PULUMI_CONFIG_PASSPHRASE": "another"}, "passphrase of the Pulumi stack dev is wrong", "PASSPHRASE"),
        ({"PULUMI_CONFIG_PASSPHRASE": None}, "passphrase of the Pulumi stack dev is missing", "PASSPHRASE"),
        ({"PULUMI_BACKEND_URL": None, "PULUMI_HOME": "empty"}, "nobody is logged in", "pulumi login"),
        ({"PULUMI_BACKEND_URL": "file:///no/such/folder"}, "state backend cannot be opened", "PULUMI_BACKEND_URL"),
        ({"PATH": "/nowhere"}, "pulumi is not on PATH", "Install it"),
    ],
)
def test_a_stack_that_cannot_be_read_says_what_to_do(
    shared: Workspace, monkeypatch: pytest.MonkeyPatch, change: dict[str, str | None], message: str, remedy: str
) -> None:
    _enter(shared, monkeypatch)
    for name, value in change.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, str(shared.folder / value) if value == "empty" else value)
    with pytest.raises(ConfigurationError) as caught:
        read_stack("dev", shared.folder)
    assert message in caught.value.message
    assert remedy in caught.value.remedy


def test_a_stack_that_is_not_there_says_how_to_make_it(shared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    _enter(shared, monkeypatch)
    with pytest.raises(ConfigurationError, match="has no environment nowhere"):
        read_stack("nowhere", shared.folder)
    settings = shared.folder / "Pulumi.nowhere.yaml"  # with it, the name is no slip
    settings.write_text("config: {}\n")
    with pytest.raises(ConfigurationError, match="no Pulumi stack nowhere") as caught:
        read_stack("nowhere", shared.folder)
    settings.unlink()
    assert "pulumi stack init nowhere" in caught.value.remedy


def test_a_stack_that_was_never_up_says_so(shared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    shared.pulumi("stack", "init", "staging")
    _enter(shared, monkeypatch)
    with pytest.raises(ConfigurationError, match=r"has no output .*\bdatabase_url") as caught:
        read_stack("staging", shared.folder)
    assert caught.value.remedy.endswith("pulumi up --stack staging")


def _enter(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put this process into the workspace's environment."""
    for name, value in workspace.environment().items():
        monkeypatch.setenv(name, value)
