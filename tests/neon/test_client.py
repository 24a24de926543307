"""The calls, on the emulator: what they return is what is there."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.errors import ConfigurationError, NeonFailed, TimedOut, UsageError
from pipeline.neon import ApiError, Compute, NeonClient, NotFound, OperationFailed, RetryPolicy, list_branches

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.support.emulator import Emulator


def _name() -> str:
    return f"b-{uuid.uuid4().hex[:8]}"


def _can_connect(url: DatabaseURL) -> bool:
    settings = url.for_psycopg()
    try:
        psycopg.connect(settings.dsn, connect_timeout=20, **settings.connect).close()
    except psycopg.OperationalError:
        return False
    return True


def test_a_project_is_read_and_found_by_its_name(client: NeonClient, project_id: str) -> None:
    project = client.project(project_id)
    assert (project.id, project.name, project.pg_version) == (project_id, "app", 16)
    assert project in client.projects(search="app")
    assert client.projects(search="no such name") == []


def test_a_branch_comes_with_a_compute_that_answers(client: NeonClient, project_id: str, main_id: str) -> None:
    made = client.create_branch(project_id, _name(), compute=Compute(0.25, 1))
    assert made.branch.current_state == "ready"
    assert made.branch.parent_id == main_id
    assert made.endpoint is not None
    assert made.endpoint.compute == Compute(0.25, 1)
    uri = client.connection_uri(project_id, branch_id=made.branch.id, database="app", role="app_owner")
    assert _can_connect(uri)
    assert client.delete_branch(project_id, made.branch.id)


def test_a_branch_without_a_compute_has_none(client: NeonClient, project_id: str) -> None:
    made = client.create_branch(project_id, _name())
    assert made.endpoint is None
    assert client.endpoints(project_id, made.branch.id) == []


def test_an_expiry_is_kept(client: NeonClient, project_id: str) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    made = client.create_branch(project_id, _name(), expires_at=ends).branch
    assert client.branch(project_id, made.id).expires_at == ends


def test_an_expiry_without_a_time_zone_is_refused_before_any_call(client: NeonClient, project_id: str) -> None:
    with pytest.raises(UsageError, match="needs a time zone"):
        client.create_branch(project_id, _name(), expires_at=datetime(2026, 12, 31))  # noqa: DTZ001 - the point


def test_a_name_that_is_taken_is_refused(client: NeonClient, project_id: str) -> None:
    name = _name()
    first = client.create_branch(project_id, name).branch
    with pytest.raises(ApiError, match=f"already has a branch {name}") as caught:
        client.create_branch(project_id, name)
    assert caught.value.status == 409
    assert caught.value.remedy.startswith("Nothing was changed. Rename that branch")
    found = client.find_branch(project_id, name)
    assert found is not None
    assert found.id == first.id


def test_a_branch_is_found_by_its_whole_name_only(client: NeonClient, project_id: str) -> None:
    name = _name()
    client.create_branch(project_id, f"{name}-longer")
    assert client.find_branch(project_id, name) is None


def test_lists_are_read_to_their_last_page(
    client: NeonClient, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {client.create_branch(project_id, _name()).branch.name for _ in range(3)}
    monkeypatch.setattr("pipeline.neon.calls.PAGE", 1)
    assert names < {branch.name for branch in client.branches(project_id)}
    assert len(list(client.operations(project_id))) > 3


def test_a_deleted_branch_is_gone_and_deleting_it_again_is_no_error(client: NeonClient, project_id: str) -> None:
    branch = client.create_branch(project_id, _name()).branch
    assert client.delete_branch(project_id, branch.id) is True
    assert client.delete_branch(project_id, branch.id) is False
    with pytest.raises(NotFound):
        client.branch(project_id, branch.id)


def test_a_refused_delete_is_an_error_with_neons_message(client: NeonClient, project_id: str, main_id: str) -> None:
    with pytest.raises(ApiError) as caught:
        client.delete_branch(project_id, main_id)
    assert caught.value.status in {409, 422}
    assert caught.value.request_id
    assert caught.value.request_id in str(caught.value)


def test_a_compute_is_resized_stopped_and_started(client: NeonClient, project_id: str) -> None:
    endpoint = client.create_branch(project_id, _name(), compute=Compute(0.25, 1)).endpoint
    assert endpoint is not None
    assert client.resize_endpoint(project_id, endpoint.id, Compute(0.5, 2, 600)).compute == Compute(0.5, 2, 600)
    client.suspend_endpoint(project_id, endpoint.id)
    assert client.endpoint(project_id, endpoint.id).current_state == "idle"
    client.start_endpoint(project_id, endpoint.id)
    assert client.endpoint(project_id, endpoint.id).current_state == "active"
    assert client.delete_endpoint(project_id, endpoint.id) is True
    assert client.delete_endpoint(project_id, endpoint.id) is False


def test_a_reset_password_opens_the_database_and_the_old_one_does_not(client: NeonClient, project_id: str) -> None:
    branch = client.create_branch(project_id, _name(), compute=Compute(0.25, 1)).branch
    old = client.connection_uri(project_id, branch_id=branch.id, database="app", role="app_owner")
    password = client.reset_password(project_id, branch.id, "app_owner")
    assert password == client.reveal_password(project_id, branch.id, "app_owner")
    assert password != old.password
    assert _can_connect(old.copy_with(password=password))
    assert not _can_connect(old)


def test_roles_and_databases_are_listed_without_passwords(client: NeonClient, project_id: str, main_id: str) -> None:
    roles = client.roles(project_id, main_id)
    assert [role.name for role in roles] == ["app_owner"]
    assert all(role.password is None for role in roles)
    assert [(d.name, d.owner_name) for d in client.databases(project_id, main_id)] == [("app", "app_owner")]


def test_a_failed_operation_is_raised_with_its_reason(emulator: Emulator, client: NeonClient, project_id: str) -> None:
    emulator.fault(operation="create_branch", message="no room")
    with pytest.raises(OperationFailed, match=r"create_branch of br-.* ended as failed: no room") as caught:
        client.create_branch(project_id, _name())
    assert caught.value.operation.has_failed
    assert isinstance(caught.value, NeonFailed)


def test_what_somebody_else_left_failing_is_found(emulator: Emulator, client: NeonClient, project_id: str) -> None:
    name = _name()
    emulator.fault(operation="create_branch", message="no room")
    with pytest.raises(OperationFailed):
        client.create_branch(project_id, name)
    branch = client.find_branch(project_id, name)
    assert branch is not None
    with pytest.raises(OperationFailed, match="no room"):
        client.settle(project_id, branch.id)


def test_an_operation_that_takes_too_long_is_a_time_out(emulator: Emulator, project_id: str) -> None:
    policy = RetryPolicy(operation_timeout=0.3, operation_poll=0.02)
    environment = emulator.environment
    with NeonClient(environment["NEON_API_KEY"], base_url=environment["NEON_API_URL"], policy=policy) as client:
        emulator.fault(operation="create_branch", seconds=3)
        with pytest.raises(TimedOut, match="has not finished create_branch of br-"):
            client.create_branch(project_id, _name())


def test_a_wrong_key_says_which_variable_to_set(emulator: Emulator, project_id: str) -> None:
    with (
        NeonClient("napi_wrong", base_url=emulator.environment["NEON_API_URL"]) as client,
        pytest.raises(ApiError, match="401") as caught,
    ):
        client.project(project_id)
    assert "NEON_API_KEY" in caught.value.remedy
    assert "napi_wrong" not in str(caught.value)


def test_the_client_of_the_environment_needs_a_key(emulator: Emulator, project_id: str) -> None:
    with pytest.raises(ConfigurationError, match="NEON_API_KEY is not set"):
        NeonClient.from_environment({})
    with NeonClient.from_environment(emulator.environment) as client:
        assert client.project(project_id).id == project_id


def test_the_provider_s_way_in_through_proxy_and_tls_is_ours_too(
    emulator: Emulator, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "SSL_CERT_FILE", "NO_PROXY"):
        monkeypatch.setenv(name, emulator.environment[name])
    with NeonClient(emulator.environment["NEON_API_KEY"]) as client:
        assert client.project(project_id).id == project_id


def test_branches_are_listed_as_a_tree_with_their_age_and_expiry(emulator: Emulator, client: NeonClient) -> None:
    project = emulator.create_project(name="surveyed")["project"]["id"]
    other = emulator.create_project(name="surveyed")["project"]["id"]
    similar = emulator.create_project(name="surveyed-too")["project"]["id"]
    now = datetime.now(UTC)
    parent = client.create_branch(project, "parent").branch
    client.create_branch(project, "sibling", expires_at=now + timedelta(days=2))
    client.create_branch(project, "child", parent_id=parent.id)
    found = list_branches(client, project, now=now + timedelta(hours=1))
    assert [(line.name, line.parent) for line in found.branches] == [
        ("main", None),
        ("parent", "main"),
        ("child", "parent"),
        ("sibling", "main"),
    ]
    main, *_, sibling = found.branches
    assert main.default
    assert main.size
    assert timedelta(minutes=59) < main.age < timedelta(minutes=65)
    assert sibling.expires_in is not None
    assert timedelta(hours=46) < sibling.expires_in < timedelta(hours=48)
    assert [namesake.id for namesake in found.namesakes] == [other]
    for each in (project, other, similar):
        emulator.delete_project(each)
