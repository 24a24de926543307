from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.emulator.moments import items, write
from tests.emulator.test_restore import branches_of, compute_of
from tests.emulator.urls import branch_path, project_path, uri
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import Emulator

Json = dict[str, Any]


def take(emulator: Emulator, project: Json, **query: str) -> Json:
    found: Json = emulator.ok("POST", f"{branch_path(project)}/snapshot", params=query)["snapshot"]
    return found


def listed(emulator: Emulator, project: Json) -> list[Json]:
    found: list[Json] = emulator.ok("GET", f"{project_path(project)}/snapshots")["snapshots"]
    return found


def restore(emulator: Emulator, project: Json, snapshot: Json, **body: Any) -> Json:
    path = f"{project_path(project)}/snapshots/{snapshot['id']}/restore"
    found: Json = emulator.ok("POST", path, json={"target_branch_id": project["branch"]["id"], **body})["branch"]
    return found


def test_a_snapshot_keeps_the_state_of_a_moment_and_a_branch_is_made_of_it(emulator: Emulator, project: Json) -> None:
    good, _ = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id", "INSERT INTO item VALUES (2)")
    now, then = take(emulator, project, name="now"), take(emulator, project, name="then", lsn=good)
    write(uri(project), "DELETE FROM item")
    assert [(each["name"], each["source_branch_id"], each["manual"]) for each in listed(emulator, project)] == [
        ("then", project["branch"]["id"], True),
        ("now", project["branch"]["id"], True),
    ]
    assert {each["id"]: each["lsn"] for each in listed(emulator, project)}[then["id"]] == good
    assert all(each["full_size"] > 0 for each in listed(emulator, project))

    looked_at = restore(emulator, project, now, name="preview")
    assert (looked_at["restored_from"], looked_at["restored_as"]) == (now["id"], project["branch"]["id"])
    assert items(compute_of(emulator, project, looked_at)) == [1, 2]
    assert items(compute_of(emulator, project, restore(emulator, project, then, name="before"))) == [1]
    assert items(uri(project)) == []


def test_a_finalized_restore_takes_the_place_of_the_branch_and_its_string_stays(
    emulator: Emulator, project: Json
) -> None:
    write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    child = emulator.create_branch(project, name="child")
    snapshot = take(emulator, project, name="good")
    write(uri(project), "INSERT INTO item VALUES (2)")
    password = emulator.ok("POST", f"{branch_path(project)}/roles/app_owner/reset_password")["role"]["password"]
    with psycopg.connect(uri(project), password=password) as held:
        restored = restore(emulator, project, snapshot, finalize_restore=True)
        with pytest.raises(psycopg.OperationalError):
            held.execute("SELECT 1")
    found = branches_of(emulator, project)
    old = project["branch"]["id"]
    assert (found["main"]["id"], found["main"]["default"]) == (restored["id"], True)
    assert (found["main (old)"]["id"], found["main (old)"]["default"]) == (old, False)
    assert found["child"]["parent_id"] == old
    assert "restored_as" not in found["main"]
    with psycopg.connect(uri(project), password=password) as connection:
        assert connection.execute("SELECT id, current_setting('neon.branch_id') FROM item").fetchall() == [
            (1, restored["id"])
        ]
    assert items(uri(child)) == [1]


def test_a_restore_is_finalized_later_with_a_name_for_the_old_branch(emulator: Emulator, project: Json) -> None:
    write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    snapshot = take(emulator, project, name="good")
    write(uri(project), "INSERT INTO item VALUES (2)")
    restored = restore(emulator, project, snapshot, name="preview")
    path = f"{project_path(project)}/branches/{restored['id']}/finalize_restore"
    emulator.ok("POST", path, json={"name": "before the restore"})
    assert set(branches_of(emulator, project)) == {"main", "before the restore"}
    assert items(uri(project)) == [1]
    again = emulator.api.post(path)
    assert (again.status_code, "finalized" in again.json()["message"]) == (422, True)


def test_the_other_reading_of_the_documents_keeps_the_id(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator("--restored-id", "kept")
    project = emulator.create_project()
    write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    child = emulator.create_branch(project, name="child")
    snapshot = take(emulator, project, name="good")
    write(uri(project), "INSERT INTO item VALUES (2)")
    restored = restore(emulator, project, snapshot, finalize_restore=True)
    found = branches_of(emulator, project)
    assert (found["main"]["id"], found["main (old)"]["id"]) == (project["branch"]["id"], restored["id"])
    assert found["child"]["parent_id"] == restored["id"]
    assert items(uri(project)) == [1]
    assert items(compute_of(emulator, project, found["main (old)"])) == [1, 2]
    assert items(uri(child)) == [1]


@pytest.mark.parametrize("kept", ["kept", "new"])
def test_after_a_finalized_restore_every_branch_is_where_its_state_is(
    another_emulator: Callable[..., Emulator], kept: str
) -> None:
    """Children stay with the state that they were cut from, deleted ones too, and main is no backup."""
    emulator = another_emulator("--restored-id", kept)
    project = emulator.create_project()
    branches = f"{project_path(project)}/branches"
    write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    snapshot = take(emulator, project, name="good")
    write(uri(project), "INSERT INTO item VALUES (2)")
    child = emulator.create_branch(project, name="child")
    gone = emulator.create_branch(project, name="gone")
    emulator.ok("DELETE", branch_path(gone))
    restored = restore(emulator, project, snapshot, name="preview")
    emulator.create_branch(project, name="child of the preview", parent_id=restored["id"])
    emulator.ok("POST", f"{branches}/{restored['id']}/finalize_restore", json={"name": "before"})
    emulator.ok("POST", f"{branch_path(gone)}/recover")

    found = branches_of(emulator, project)
    parents = {name: found[name].get("parent_id") for name in ("child", "gone", "child of the preview")}
    before, main = found["before"]["id"], found["main"]["id"]
    assert parents == {"child": before, "gone": before, "child of the preview": main}
    assert items(uri(child)) == [1, 2]
    for name in ("child", "gone", "child of the preview"):
        emulator.ok("DELETE", f"{branches}/{found[name]['id']}")
    emulator.ok("POST", f"{branches}/{before}/set_as_default")
    refused = emulator.answer("DELETE", f"{branches}/{main}")
    assert "a root branch cannot be deleted" in refused.json()["message"]


def test_a_snapshot_follows_a_branch_that_gets_a_new_id(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator("--restored-id", "new")
    project = emulator.create_project()
    good, _ = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id", "INSERT INTO item VALUES (2)")
    snapshot = take(emulator, project, name="good", lsn=good)
    waiting = restore(emulator, project, snapshot, name="preview")
    body = {"source_branch_id": project["branch"]["id"], "source_lsn": good, "preserve_under_name": "old"}
    main = emulator.ok("POST", f"{branch_path(project)}/restore", json=body)["branch"]["id"]
    assert main == branches_of(emulator, project)["main"]["id"] != project["branch"]["id"]
    assert [each["source_branch_id"] for each in listed(emulator, project)] == [main]
    assert branches_of(emulator, project)["preview"]["restored_as"] == main
    path = f"{project_path(project)}/branches/{waiting['id']}/finalize_restore"
    emulator.ok("POST", path, json={"name": "main before"})
    assert set(branches_of(emulator, project)) == {"main", "old", "main before"}


def test_what_is_no_snapshot_is_refused(emulator: Emulator, project: Json) -> None:
    child = emulator.create_branch(project, name="child")
    taken = take(emulator, project, name="taken")
    past = (datetime.now(UTC) - timedelta(days=1)).isoformat()

    def refused(path: str, **query: str) -> tuple[int, str]:
        answer = emulator.api.post(f"{path}/snapshot", params=query)
        return answer.status_code, answer.json()["message"]

    assert refused(branch_path(child)) == (422, "a snapshot can only be taken of a root branch")
    assert refused(branch_path(project), name="taken") == (409, 'snapshot already exists; snapshot_name:"taken"')
    assert refused(branch_path(project), expires_at=past) == (400, "expires_at must be in the future")
    assert refused(branch_path(project), lsn="0/1", timestamp=past)[0] == 400
    assert refused(branch_path(project), lsn="FFFF/0")[0] == 422
    renamed = emulator.ok(
        "PATCH", f"{project_path(project)}/snapshots/{taken['id']}", json={"snapshot": {"name": "other"}}
    )
    assert renamed["snapshot"]["name"] == "other"
    emulator.ok("DELETE", f"{project_path(project)}/snapshots/{taken['id']}")
    assert listed(emulator, project) == []
    assert not (emulator.data / "branches" / taken["id"]).exists()
    assert emulator.api.delete(f"{project_path(project)}/snapshots/{taken['id']}").status_code == 404


def test_the_free_plan_has_one_and_one_that_expires_goes_by_itself(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator("--plan", "free")
    project = emulator.create_project()
    expires = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    take(emulator, project, name="first", expires_at=expires)
    full = emulator.api.post(f"{branch_path(project)}/snapshot", params={"name": "second"})
    assert (full.status_code, full.json()["code"]) == (422, "SNAPSHOTS_LIMIT_EXCEEDED")
    emulator.advance(3601)
    until(lambda: listed(emulator, project) == [])
    take(emulator, project, name="second")


def test_what_fails_by_itself_is_tried_again_after_a_pause_that_grows(
    another_emulator: Callable[..., Emulator],
) -> None:
    emulator = another_emulator()
    project = emulator.create_project()
    expires = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    take(emulator, project, name="first", expires_at=expires)
    emulator.fault(operation="delete_timeline", message="storage is gone", times=6)
    emulator.advance(3601)

    def deletions() -> list[str]:
        operations = emulator.ok("GET", f"{project_path(project)}/operations")["operations"]
        return [operation["status"] for operation in operations if operation["action"] == "delete_timeline"]

    for failures in range(1, 6):
        until(lambda failures=failures: deletions() == ["failed"] * failures)  # type: ignore[misc]
        emulator.advance(60)
    until(lambda: deletions() == ["failed"] * 6)
    soon = (datetime.now(UTC) + timedelta(seconds=3600 + 1 + 60 * 5 + 2)).isoformat()
    other = emulator.create_branch(emulator.create_project(), expires_at=soon)
    until(lambda: emulator.api.get(branch_path(other)).status_code == 404)  # everything was looked at meanwhile
    assert deletions() == ["failed"] * 6
    emulator.advance(60)
    until(lambda: listed(emulator, project) == [])
    assert deletions() == ["finished", *["failed"] * 6]


def test_a_killed_emulator_finishes_what_it_began_and_loses_no_snapshot(
    another_emulator: Callable[..., Emulator],
) -> None:
    emulator = another_emulator()
    project = emulator.create_project()
    write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    kept = take(emulator, project, name="kept")
    answer = emulator.api.post(f"{branch_path(project)}/snapshot", params={"name": "begun"}).json()
    emulator.kill()
    emulator.start()
    for operation in answer["operations"]:
        assert emulator.wait(operation)["status"] == "finished"
    assert {each["name"] for each in listed(emulator, project)} == {"kept", "begun"}
    for number, snapshot in enumerate((kept, answer["snapshot"])):
        branch = restore(emulator, project, snapshot, name=f"of {number}")
        assert items(compute_of(emulator, project, branch)) == [1]


def test_a_restore_that_fails_half_way_leaves_the_branch_as_it_was(emulator: Emulator, project: Json) -> None:
    write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    snapshot = take(emulator, project, name="good")
    emulator.fault(operation="apply_config", message="storage is full")
    restore(emulator, project, snapshot, name="half", finalize_restore=True)
    found = branches_of(emulator, project)
    assert set(found) == {"main", "half"}
    assert found["main"]["id"] == project["branch"]["id"]
    assert items(uri(project)) == [1]
    emulator.ok("DELETE", f"{project_path(project)}/branches/{found['half']['id']}")


def test_the_limit_is_reached_when_a_fault_says_so(emulator: Emulator, project: Json) -> None:
    route = "POST /projects/*/branches/*/snapshot"
    emulator.fault(
        route=route, status=422, code="SNAPSHOTS_LIMIT_EXCEEDED", message="snapshots limit exceeded; limit:1"
    )
    refused = emulator.api.post(f"{branch_path(project)}/snapshot")
    assert (refused.status_code, refused.json()["code"]) == (422, "SNAPSHOTS_LIMIT_EXCEEDED")
    assert listed(emulator, project) == []


def test_snapshots_go_with_their_project(emulator: Emulator) -> None:
    project = emulator.create_project()
    taken = take(emulator, project)
    folder = emulator.data / "branches" / taken["id"]
    assert folder.exists()
    emulator.delete_project(project["project"]["id"])
    assert not folder.exists()


def test_a_name_in_the_query_is_no_longer_than_one_in_a_body(emulator: Emulator, project: Json) -> None:
    taken = emulator.ok("POST", f"{branch_path(project)}/snapshot", params={"name": "n" * 256})["snapshot"]
    too_long = [
        emulator.answer("POST", f"{branch_path(project)}/snapshot", params={"name": "n" * 257}),
        emulator.answer("POST", f"{project_path(project)}/snapshots/{taken['id']}/restore", params={"name": "n" * 257}),
    ]

    assert [(answer.status_code, "query.name" in answer.json()["message"]) for answer in too_long] == [(400, True)] * 2
    assert len(emulator.ok("GET", f"{project_path(project)}/snapshots")["snapshots"]) == 1
