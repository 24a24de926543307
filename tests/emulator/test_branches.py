from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.emulator.urls import branch_path, project_path, uri
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import Emulator

Json = dict[str, Any]
DAY = 86_400


def in_(**span: float) -> str:
    return (datetime.now(UTC) + timedelta(**span)).isoformat()


def fill(url: str, rows: int = 1000) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE item (id int PRIMARY KEY)")
        connection.execute("INSERT INTO item SELECT generate_series(1, %s)", [rows])


def count(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM item").fetchone()
    assert found is not None
    return int(found[0])


def test_a_branch_has_its_parents_data_and_goes_its_own_way(emulator: Emulator, project: Json) -> None:
    fill(uri(project))
    dev = emulator.create_branch(project, name="dev")
    with psycopg.connect(uri(dev)) as connection:
        connection.execute("DELETE FROM item WHERE id > 10")

    assert (count(uri(project)), count(uri(dev))) == (1000, 10)


def test_a_branch_is_another_branch_to_whoever_asks_its_server(emulator: Emulator, project: Json) -> None:
    dev = emulator.create_branch(project, name="dev")
    with psycopg.connect(uri(dev)) as connection:
        found = connection.execute("SELECT current_setting('neon.branch_id')").fetchone()

    assert found == (dev["branch"]["id"],)
    assert dev["branch"]["parent_id"] == project["branch"]["id"]


def test_a_branch_without_a_compute_gets_one_later(emulator: Emulator, project: Json) -> None:
    dev = emulator.ok("POST", f"{project_path(project)}/branches", json={"branch": {"name": "dev"}})
    assert dev["endpoints"] == []
    assert "connection_uris" not in dev

    emulator.ok("POST", f"{project_path(project)}/endpoints", json={"endpoint": {"branch_id": dev["branch"]["id"]}})
    query = {"branch_id": dev["branch"]["id"], "database_name": "app", "role_name": "app_owner"}
    found = emulator.ok("GET", f"{project_path(project)}/connection_uri", params=query)["uri"]
    with psycopg.connect(found) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_passwords_go_along_from_an_unprotected_parent(emulator: Emulator, project: Json) -> None:
    dev = emulator.create_branch(project, name="dev")

    assert uri(dev).split("@")[0] == uri(project).split("@")[0]


def test_a_child_of_a_protected_parent_has_passwords_of_its_own(emulator: Emulator, project: Json) -> None:
    with psycopg.connect(uri(project)) as connection:
        connection.execute("CREATE ROLE made_in_sql LOGIN PASSWORD 'known-on-main-only'")
    emulator.ok("PATCH", branch_path(project), json={"branch": {"protected": True}})
    dev = emulator.create_branch(project, name="dev")
    host = uri(dev).split("@")[1]

    with psycopg.connect(uri(dev)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    for secret in (uri(project).split("@")[0], "postgresql://made_in_sql:known-on-main-only"):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(f"{secret}@{host}")


def test_a_branch_is_found_by_name_and_in_pages(emulator: Emulator, project: Json) -> None:
    for name in ("pr-1", "pr-2", "pr-3"):
        emulator.ok("POST", f"{project_path(project)}/branches", json={"branch": {"name": name}})
    path, query = (
        f"{project_path(project)}/branches",
        {"search": "pr-", "limit": "2", "sort_by": "name", "sort_order": "asc"},
    )
    first = emulator.ok("GET", path, params=query)
    second = emulator.ok("GET", path, params=query | {"cursor": first["pagination"]["next"]})

    assert [branch["name"] for page in (first, second) for branch in page["branches"]] == ["pr-1", "pr-2", "pr-3"]
    assert "next" not in second["pagination"]


def test_a_name_is_taken_once(emulator: Emulator, shared: Json) -> None:
    answer = emulator.api.post(f"{project_path(shared)}/branches", json={"branch": {"name": "main"}})

    assert answer.status_code == 409
    assert answer.json()["message"] == 'branch already exists; branch_name:"main"'


def test_a_deleted_branch_can_be_recovered_with_its_data_and_its_compute(emulator: Emulator, project: Json) -> None:
    dev = emulator.create_branch(project, name="dev")
    fill(uri(dev))
    emulator.ok("DELETE", branch_path(dev))
    listed = emulator.ok("GET", f"{project_path(project)}/branches", params={"include_deleted": "true"})["branches"]

    assert emulator.api.get(branch_path(dev)).status_code == 404
    assert emulator.api.delete(branch_path(dev)).status_code == 404
    assert [branch["name"] for branch in listed if "recovery" in branch] == ["dev"]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(uri(dev))

    emulator.ok("POST", f"{branch_path(dev)}/recover")
    assert count(uri(dev)) == 1000


def test_a_branch_deleted_for_good_cannot_be_recovered(emulator: Emulator, project: Json) -> None:
    dev = emulator.create_branch(project, name="dev")
    emulator.ok("DELETE", branch_path(dev), params={"hard_delete": "true"})

    assert emulator.api.post(f"{branch_path(dev)}/recover").status_code == 404
    assert not (emulator.data / "branches" / dev["branch"]["id"]).exists()


def test_recovery_ends_after_seven_days(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator()
    project = emulator.create_project()
    dev = emulator.create_branch(project, name="dev")
    emulator.ok("DELETE", branch_path(dev))
    emulator.advance(7 * DAY + 1)

    until(lambda: not (emulator.data / "branches" / dev["branch"]["id"]).exists())
    assert emulator.api.post(f"{branch_path(dev)}/recover").status_code == 404


def test_a_branch_expires_and_says_so(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator()
    project = emulator.create_project()
    dev = emulator.create_branch(project, name="dev", expires_at=in_(hours=1))
    assert 3500 < dev["branch"]["ttl_interval_seconds"] <= 3600
    emulator.advance(3601)

    until(lambda: emulator.api.get(branch_path(dev)).status_code == 404)
    listed = emulator.ok("GET", f"{project_path(project)}/branches", params={"include_deleted": "true"})["branches"]
    assert [item["recovery"]["deletion_method"] for item in listed if item["name"] == "dev"] == ["ttl"]


def test_an_expiry_can_be_taken_away(emulator: Emulator, project: Json) -> None:
    dev = emulator.create_branch(project, name="dev", expires_at=in_(days=2))
    changed = emulator.ok("PATCH", branch_path(dev), json={"branch": {"expires_at": None}})

    assert "expires_at" not in changed["branch"]


@pytest.mark.parametrize("expires_at", ["2099-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "2026-12-01T00:00:00", "soon"])
def test_an_expiry_is_in_the_next_thirty_days_and_has_a_time_zone(
    emulator: Emulator, shared: Json, expires_at: str
) -> None:
    answer = emulator.api.post(f"{project_path(shared)}/branches", json={"branch": {"expires_at": expires_at}})

    assert answer.status_code == 400


def test_branches_that_must_stay_do_not_expire(emulator: Emulator, project: Json) -> None:
    on_default = emulator.api.patch(branch_path(project), json={"branch": {"expires_at": in_(days=1)}})
    body = {"branch": {"protected": True, "expires_at": in_(days=1)}}
    on_protected = emulator.api.post(f"{project_path(project)}/branches", json=body)
    expiring = emulator.ok("POST", f"{project_path(project)}/branches", json={"branch": {"expires_at": in_(days=1)}})
    body = {"branch": {"parent_id": expiring["branch"]["id"]}}
    on_child = emulator.api.post(f"{project_path(project)}/branches", json=body)

    assert [answer.status_code for answer in (on_default, on_protected, on_child)] == [422, 422, 422]


def test_branches_that_must_stay_are_not_deleted(emulator: Emulator, project: Json) -> None:
    parent = emulator.create_branch(project, name="parent")
    protected = emulator.ok("POST", f"{project_path(project)}/branches", json={"branch": {"protected": True}})
    body = {"branch": {"parent_id": parent["branch"]["id"]}}
    emulator.ok("POST", f"{project_path(project)}/branches", json=body)

    for kept in (project, parent, protected):
        assert emulator.api.delete(branch_path(kept)).status_code == 422
        assert emulator.api.get(branch_path(kept)).status_code == 200
    assert emulator.api.delete(project_path(project)).status_code == 422


def test_the_status_of_a_refused_delete_is_a_setting(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator("--refusal-status", "409")
    project = emulator.create_project()

    assert emulator.api.delete(branch_path(project)).status_code == 409


def test_the_free_plan_has_ten_branches_and_protects_none(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator("--plan", "free")
    project = emulator.create_project()
    path = f"{project_path(project)}/branches"
    for number in range(9):
        emulator.ok("POST", path, json={"branch": {"name": f"branch-{number}"}})
    eleventh = emulator.api.post(path, json={})
    protected = emulator.api.patch(branch_path(project), json={"branch": {"protected": True}})
    too_long = emulator.api.patch(project_path(project), json={"project": {"history_retention_seconds": 86_400}})

    assert (eleventh.status_code, eleventh.json()["code"]) == (422, "BRANCHES_LIMIT_EXCEEDED")
    assert protected.status_code == 422
    assert (too_long.status_code, 'max:"21600"' in too_long.json()["message"]) == (400, True)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "{branch}/backup_schedule"),
        ("PUT", "{branch}/backup_schedule"),
    ],
)
def test_what_is_not_emulated_says_so_in_neons_words(emulator: Emulator, shared: Json, method: str, path: str) -> None:
    where = path.format(branch=branch_path(shared), project=project_path(shared))
    answer = emulator.api.request(method, where)

    assert answer.status_code == 501
    assert set(answer.json()) == {"request_id", "code", "message"}


def test_an_order_that_is_none_is_refused(emulator: Emulator, shared: Json) -> None:
    for query in ({"sort_by": "size"}, {"sort_order": "sideways"}):
        answer = emulator.api.get(f"{project_path(shared)}/branches", params=query)
        assert (answer.status_code, next(iter(query)) in answer.json()["message"]) == (400, True)
