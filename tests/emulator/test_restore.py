from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.emulator.moments import items, server_time, write
from tests.emulator.urls import branch_path, endpoint_path, project_path, uri
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import Emulator

Json = dict[str, Any]


def branches_of(emulator: Emulator, project: Json) -> dict[str, Json]:
    listed = emulator.ok("GET", f"{project_path(project)}/branches")["branches"]
    return {branch["name"]: branch for branch in listed}


def compute_of(emulator: Emulator, project: Json, branch: Json) -> str:
    """A URL of a branch that has no compute yet."""
    emulator.ok("POST", f"{project_path(project)}/endpoints", json={"endpoint": {"branch_id": branch["id"]}})
    query = {"branch_id": branch["id"], "database_name": "app", "role_name": "app_owner"}
    found: str = emulator.ok("GET", f"{project_path(project)}/connection_uri", params=query)["uri"]
    return found


def restore(emulator: Emulator, branch: Json, **body: Any) -> Json:
    return emulator.ok("POST", f"{branch_path(branch)}/restore", json=body)


def test_a_branch_goes_back_in_its_own_history_and_keeps_its_id_and_its_string(
    emulator: Emulator, project: Json
) -> None:
    main = project["branch"]["id"]
    good, _ = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id", "INSERT INTO item VALUES (2)")
    child = emulator.create_branch(project, name="child")
    write(uri(project), "DELETE FROM item")
    with psycopg.connect(uri(project)) as held:
        held.execute("SELECT 1")
        body = {"source_branch_id": main, "source_lsn": good, "preserve_under_name": "main_old"}
        answer = restore(emulator, project, **body)
        with pytest.raises(psycopg.OperationalError):
            held.execute("SELECT 1")
    found = branches_of(emulator, project)

    assert answer["branch"]["id"] == found["main"]["id"] == main
    assert "parent_id" not in found["main"]
    assert found["main"]["default"]
    assert items(uri(project)) == [1]
    assert items(compute_of(emulator, project, found["main_old"])) == []
    assert (found["child"]["parent_id"], items(uri(child))) == (found["main_old"]["id"], [1, 2])
    with psycopg.connect(uri(project)) as connection:
        assert connection.execute("SELECT current_setting('neon.branch_id')").fetchone() == (main,)


def test_a_restored_branch_goes_on_and_can_go_back_again(emulator: Emulator, project: Json) -> None:
    main = project["branch"]["id"]
    first, second = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id", "INSERT INTO item VALUES (2)")
    restore(emulator, project, source_branch_id=main, source_lsn=second, preserve_under_name="old-1")
    between = server_time(uri(project))
    write(uri(project), "INSERT INTO item VALUES (3)")
    restore(emulator, project, source_branch_id=main, source_timestamp=between, preserve_under_name="old-2")
    assert items(uri(project)) == [1, 2]
    restore(emulator, project, source_branch_id=main, source_lsn=first, preserve_under_name="old-3")
    assert items(uri(project)) == [1]
    write(uri(project), "INSERT INTO item VALUES (4)")

    dev = emulator.create_branch(project, name="dev")
    assert items(uri(dev)) == [1, 4]
    old = branches_of(emulator, project)["old-2"]
    assert items(compute_of(emulator, project, old)) == [1, 2, 3]


def test_a_branch_takes_the_state_of_another(emulator: Emulator, project: Json) -> None:
    write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    dev = emulator.create_branch(project, name="dev")
    write(uri(dev), "INSERT INTO item VALUES (2)")
    body = {"source_branch_id": dev["branch"]["id"], "preserve_under_name": "main_old"}
    restore(emulator, project, **body)
    found = branches_of(emulator, project)

    assert items(uri(project)) == [1, 2]
    assert found["main"]["parent_id"] == found["dev"]["id"]
    assert found["dev"]["parent_id"] == found["main_old"]["id"]
    assert emulator.api.delete(branch_path({"branch": found["main_old"]})).status_code == 422


def test_a_reset_gives_a_branch_its_parents_present_state(emulator: Emulator, project: Json) -> None:
    write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    dev = emulator.create_branch(project, name="dev")
    write(uri(dev), "INSERT INTO item VALUES (10)")
    write(uri(project), "INSERT INTO item VALUES (2)")
    answer = emulator.ok("POST", f"{branch_path(dev)}/reset")
    found = branches_of(emulator, project)

    assert items(uri(dev)) == [1, 2]
    assert answer["branch"]["id"] == found["dev"]["id"]
    assert set(found) == {"main", "dev"}
    assert "last_reset_at" in found["dev"]
    assert emulator.api.post(f"{branch_path(project)}/reset").status_code == 422


def test_a_restored_branch_keeps_its_passwords(emulator: Emulator, project: Json) -> None:
    main = project["branch"]["id"]
    (lsn,) = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    role = f"{branch_path(project)}/roles/app_owner"
    password = emulator.ok("POST", f"{role}/reset_password")["role"]["password"]
    restore(emulator, project, source_branch_id=main, source_lsn=lsn, preserve_under_name="old")

    host = uri(project).split("@")[1]
    assert items(f"postgresql://app_owner:{password}@{host}") == [1]
    assert emulator.ok("GET", f"{role}/reveal_password")["password"] == password


def test_a_backup_can_be_deleted_and_the_branch_still_has_its_history(emulator: Emulator, project: Json) -> None:
    main = project["branch"]["id"]
    first, second = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id", "INSERT INTO item VALUES (2)")
    restore(emulator, project, source_branch_id=main, source_lsn=second, preserve_under_name="old")
    old = branches_of(emulator, project)["old"]
    emulator.ok("DELETE", branch_path({"branch": old}), params={"hard_delete": "true"})
    past = emulator.create_branch(project, parent_lsn=first)

    assert items(uri(past)) == [1]


def test_what_a_restore_wants_is_asked_for_before_anything_happens(emulator: Emulator, project: Json) -> None:
    main = project["branch"]["id"]
    (lsn,) = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    emulator.create_branch(project, name="child")
    before = branches_of(emulator, project)
    child = before["child"]["id"]
    asked: list[tuple[Json, int]] = [
        ({}, 400),
        ({"source_branch_id": "br-nowhere-12345678"}, 404),
        ({"source_branch_id": main, "preserve_under_name": "old"}, 400),
        ({"source_branch_id": main, "source_lsn": lsn}, 400),
        ({"source_branch_id": child}, 400),
        ({"source_branch_id": main, "source_lsn": lsn, "preserve_under_name": "child"}, 409),
        ({"source_branch_id": main, "source_lsn": "FFFF/0", "preserve_under_name": "old"}, 422),
        ({"source_branch_id": main, "source_lsn": "0/1", "preserve_under_name": "old"}, 422),
        ({"source_branch_id": main, "source_lsn": "soon", "preserve_under_name": "old"}, 400),
    ]
    answers = [emulator.api.post(f"{branch_path(project)}/restore", json=body) for body, _ in asked]

    assert [answer.status_code for answer in answers] == [status for _, status in asked]
    assert branches_of(emulator, project) == before


def test_a_restore_that_a_kill_interrupts_is_done_again(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator()
    project = emulator.create_project()
    main = project["branch"]["id"]
    good, _ = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id", "INSERT INTO item VALUES (2)")
    folders = emulator.data / "branches"
    moments: list[Callable[[], bool]] = [
        lambda: True,
        lambda: any(folders.glob("*/making/data/standby.signal")),
        lambda: any(folders.glob("*/making/data/postmaster.pid")),
        lambda: len(list(folders.glob("*/data"))) == 5,
        lambda: "old-4" in branches_of(emulator, project),
    ]
    for number, moment in enumerate(moments):
        body = {"source_branch_id": main, "source_lsn": good, "preserve_under_name": f"old-{number}"}
        answer = emulator.api.post(f"{branch_path(project)}/restore", json=body).json()
        done = f"old-{number}"  # a moment may pass between two looks: then the kill comes after the restore
        until(lambda moment=moment, done=done: moment() or done in branches_of(emulator, project))  # type: ignore[misc]
        emulator.kill()
        emulator.start()
        assert [emulator.wait(operation)["status"] for operation in answer["operations"]] == ["finished", "finished"]
        assert items(uri(project)) == [1]
        assert set(branches_of(emulator, project)) == {"main", *(f"old-{made}" for made in range(number + 1))}
        assert emulator.ok("GET", endpoint_path(project))["endpoint"]["branch_id"] == main
        (good,) = write(uri(project), "SELECT 1")


def test_a_restore_that_stops_half_way_has_put_the_old_state_away(emulator: Emulator, project: Json) -> None:
    main = project["branch"]["id"]
    good, _ = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id", "INSERT INTO item VALUES (2)")
    emulator.fault(operation="create_branch", halfway=True, message="the storage is gone")
    body = {"source_branch_id": main, "source_lsn": good, "preserve_under_name": "main_old"}
    answer = restore(emulator, project, **body)
    found = branches_of(emulator, project)

    assert [emulator.wait(operation)["status"] for operation in answer["operations"]] == ["failed", "cancelled"]
    assert found["main"]["current_state"] == "resetting"
    with pytest.raises(psycopg.OperationalError, match="not ready yet"):
        psycopg.connect(uri(project))
    restore(emulator, project, source_branch_id=found["main_old"]["id"])
    assert items(uri(project)) == [1, 2]


def test_a_restore_that_fails_leaves_the_branch_as_it_was(emulator: Emulator, project: Json) -> None:
    main = project["branch"]["id"]
    good, _ = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id", "INSERT INTO item VALUES (2)")
    emulator.fault(operation="create_branch", message="no storage")
    restore(emulator, project, source_branch_id=main, source_lsn=good, preserve_under_name="main_old")

    assert set(branches_of(emulator, project)) == {"main"}
    assert items(uri(project)) == [1, 2]


def test_an_operation_that_never_ends_ends_when_faults_are_cleared(emulator: Emulator, project: Json) -> None:
    write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    dev = emulator.create_branch(project, name="dev")
    emulator.fault(operation="create_branch", forever=True)
    answer = emulator.api.post(f"{branch_path(dev)}/reset").json()
    path = f"{project_path(project)}/operations/{answer['operations'][0]['id']}"
    until(lambda: emulator.api.get(path).json()["operation"]["status"] == "running")
    assert emulator.api.post(f"{branch_path(dev)}/reset").status_code == 423

    emulator.admin.delete("/faults")
    assert [emulator.wait(operation)["status"] for operation in answer["operations"]] == ["finished", "finished"]


def test_a_position_may_not_have_reached_the_storage_yet(emulator: Emulator, project: Json) -> None:
    (lsn,) = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    emulator.fault(moment="not-yet")
    path, body = f"{project_path(project)}/branches", {"branch": {"parent_lsn": lsn}}
    answer = emulator.api.post(path, json=body)

    assert (answer.status_code, "not reached the storage" in answer.json()["message"]) == (422, True)
    emulator.ok("POST", path, json=body)


@pytest.mark.parametrize("fault", [{"moment": "soon"}, {"operation": "start_compute", "halfway": True}])
def test_a_fault_that_makes_no_sense_is_refused(emulator: Emulator, fault: Json) -> None:
    assert emulator.admin.post("/faults", json=fault).status_code == 400


@pytest.mark.parametrize("preserve", ["main_old", ""])
def test_a_restored_branch_may_get_a_new_id(another_emulator: Callable[..., Emulator], preserve: str) -> None:
    emulator = another_emulator("--restored-id", "new")
    project = emulator.create_project()
    write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    dev = emulator.create_branch(project, name="dev")
    write(uri(dev), "INSERT INTO item VALUES (2)")
    answer = restore(emulator, dev, source_branch_id=project["branch"]["id"], preserve_under_name=preserve)
    found = branches_of(emulator, project)

    assert answer["branch"]["id"] == found["dev"]["id"] != dev["branch"]["id"]
    assert items(uri(dev)) == [1]  # the same string
    with psycopg.connect(uri(dev)) as connection:
        assert connection.execute("SELECT current_setting('neon.branch_id')").fetchone() == (found["dev"]["id"],)
    assert [found[name]["id"] for name in found if name == "main_old"] == ([dev["branch"]["id"]] if preserve else [])
