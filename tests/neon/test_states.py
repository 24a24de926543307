"""Branches at a moment, restores and snapshots by the typed client, also when Neon's answers get lost."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pipeline.errors import UsageError
from pipeline.neon import ApiError, Branch, Compute, Moment, NeonClient, OperationFailed
from pipeline.neon.transport import Clock
from tests.emulator.urls import uri
from tests.neon.conftest import QUICK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.emulator import Emulator

Json = dict[str, Any]
LOST: list[dict[str, Any]] = [{"kind": "lost"}, {"status": 503, "after_effect": True}, {"status": 503}]


def by_kind(fault: dict[str, Any]) -> str:
    return " ".join(str(part) for part in fault.values())


@pytest.fixture(scope="module")
def root(emulator: Emulator) -> Iterator[Json]:
    """A project that tests of branches share; its main has rows 1 and then 2 in `item`, and `lsn` is between them."""
    made = make_root(emulator)
    yield made
    emulator.delete_project(made["project"]["id"])


@pytest.fixture
def own_root(emulator: Emulator) -> Iterator[Json]:
    """The same for a test alone, which puts something in the place of main."""
    made = make_root(emulator)
    yield made
    emulator.delete_project(made["project"]["id"])


def make_root(emulator: Emulator) -> Json:
    made = emulator.create_project(name="states")
    with psycopg.connect(uri(made), autocommit=True) as connection:
        connection.execute("CREATE TABLE item AS SELECT 1 AS id")
        found = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
        assert found is not None
        connection.execute("INSERT INTO item VALUES (2)")
    return made | {"lsn": str(found[0])}


@pytest.fixture
def project_id(root: Json) -> str:
    return str(root["project"]["id"])


@pytest.fixture
def main_id(root: Json) -> str:
    return str(root["branch"]["id"])


def name() -> str:
    return f"b-{uuid.uuid4().hex[:8]}"


def items(client: NeonClient, branch: Branch) -> list[int]:
    url = client.connection_uri(branch.project_id, branch_id=branch.id, database="app", role="app_owner")
    with psycopg.connect(url.for_psycopg().dsn) as connection:
        return [int(row[0]) for row in connection.execute("SELECT id FROM item ORDER BY id")]


def test_a_branch_is_cut_at_a_position_and_without_rows(client: NeonClient, root: Json, project_id: str) -> None:
    then = client.create_branch(project_id, name(), moment=Moment(lsn=root["lsn"]), compute=Compute(0.25, 1)).branch
    assert (then.parent_lsn, items(client, then)) == (root["lsn"], [1])
    bare = client.create_branch(project_id, name(), schema_only=True, compute=Compute(0.25, 1)).branch
    assert items(client, bare) == []
    for branch in (then, bare):
        client.delete_branch(project_id, branch.id)


@pytest.mark.parametrize("fault", LOST, ids=by_kind)
@pytest.mark.parametrize("preserved", [True, False], ids=["with the old state kept", "without"])
def test_a_restore_is_done_once_though_its_answer_was_lost(
    emulator: Emulator, client: NeonClient, root: Json, project_id: str, main_id: str, fault: Json, preserved: bool
) -> None:
    branch = client.create_branch(project_id, name(), compute=Compute(0.25, 1)).branch
    emulator.fault(route="POST /projects/*/branches/*/restore", **fault)
    kept = name() if preserved else None
    restored = client.restore_branch(
        project_id, branch.id, source_id=main_id, moment=Moment(lsn=root["lsn"]), preserve_as=kept
    )
    assert (restored.id, items(client, restored)) == (branch.id, [1])
    begun = [each for each in client.operations(project_id) if each.branch_id == branch.id]
    assert len([each for each in begun if each.action == "create_branch"]) == 2, "its making, and one restore"
    assert items(client, client.reset_branch(project_id, branch.id)) == [1, 2]
    for each in client.branches(project_id):
        if each.name in {branch.name, kept}:
            client.delete_branch(project_id, each.id)


@pytest.mark.parametrize("fault", LOST, ids=by_kind)
def test_a_snapshot_is_taken_once_and_restored_once_though_answers_were_lost(
    emulator: Emulator, client: NeonClient, own_root: Json, fault: Json
) -> None:
    project_id, main_id, lsn = own_root["project"]["id"], own_root["branch"]["id"], own_root["lsn"]
    emulator.fault(route="POST /projects/*/branches/*/snapshot", **fault)
    tomorrow = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    called = name()
    taken = client.create_snapshot(project_id, main_id, called, moment=Moment(lsn=lsn), expires_at=tomorrow)
    assert (taken.name, taken.lsn, taken.expires_at) == (called, lsn, tomorrow)
    assert taken.full_size
    assert [each.id for each in client.snapshots(project_id) if each.name == called] == [taken.id]
    with pytest.raises(ApiError, match="already has a snapshot"):
        client.create_snapshot(project_id, main_id, called)

    emulator.fault(route="POST /projects/*/snapshots/*/restore", **fault)
    looked_at = client.restore_snapshot(project_id, taken.id, name(), target_id=main_id)
    assert (looked_at.restored_from, looked_at.restored_as) == (taken.id, main_id)
    assert [each.id for each in client.branches(project_id) if each.restored_from == taken.id] == [looked_at.id]

    emulator.fault(route="POST /projects/*/branches/*/finalize_restore", **fault)
    old = name()
    in_place = client.finalize_restore(project_id, looked_at.id, old_name=old)
    assert (in_place.name, in_place.default, items(client, in_place)) == ("main", True, [1])
    replaced = client.find_branch(project_id, old)
    assert replaced is not None
    assert {replaced.id, in_place.id} == {main_id, looked_at.id}

    assert client.rename_snapshot(project_id, taken.id, f"{called} again").name == f"{called} again"
    assert client.delete_snapshot(project_id, taken.id)
    assert not client.delete_snapshot(project_id, taken.id)


@pytest.mark.parametrize("preserved", [True, False], ids=["with the old state kept", "without"])
def test_what_else_happens_on_a_branch_is_not_taken_for_the_restore(
    emulator: Emulator, root: Json, project_id: str, main_id: str, preserved: bool
) -> None:
    """The request never arrived, and the compute was suspended and started meanwhile."""
    emulator.create_branch(root, name=(called := name()))

    def meanwhile(_: float) -> None:
        for verb in ("suspend", "start") if not did else ():
            emulator.ok("POST", f"/projects/{project_id}/endpoints/{endpoint}/{verb}")
            did.append(verb)

    did: list[str] = []
    with client_that_pauses(emulator, meanwhile) as client:
        branch = client.find_branch(project_id, called)
        assert branch is not None
        (endpoint,) = [each.id for each in client.endpoints(project_id, branch.id)]
        emulator.fault(route="POST /projects/*/branches/*/restore", status=503)
        kept = name() if preserved else None
        restored = client.restore_branch(
            project_id, branch.id, source_id=main_id, moment=Moment(lsn=root["lsn"]), preserve_as=kept
        )
        assert did == ["suspend", "start"]
        assert items(client, restored) == [1]
        for each in client.branches(project_id):
            if each.name in {called, kept}:
                client.delete_branch(project_id, each.id)


def test_a_restore_is_not_finalized_under_a_name_that_another_branch_has(emulator: Emulator, own_root: Json) -> None:
    project_id, main_id = own_root["project"]["id"], own_root["branch"]["id"]

    def meanwhile(_: float) -> None:
        if armed and not did:
            did.append(emulator.create_branch(own_root, name="late")["branch"]["id"])

    armed: list[bool] = []
    did: list[str] = []
    with client_that_pauses(emulator, meanwhile) as client:
        client.create_branch(project_id, "taken")
        looked_at = client.restore_snapshot(
            project_id, client.create_snapshot(project_id, main_id, "kept").id, "looked at", target_id=main_id
        )
        with pytest.raises(ApiError, match="already has a branch taken"):
            client.finalize_restore(project_id, looked_at.id, old_name="taken")
        emulator.fault(route="POST /projects/*/branches/*/finalize_restore", status=503)
        armed.append(True)
        with pytest.raises(ApiError, match="409"):
            client.finalize_restore(project_id, looked_at.id, old_name="late")
        assert client.branch(project_id, looked_at.id).restored_as == main_id, "nothing was finalized"
        assert did


def test_a_request_that_arrives_after_the_look_is_found_when_it_is_repeated(
    emulator: Emulator, client: NeonClient, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called, looks = name(), []
    real = client.find_branch

    def too_early(project: str, wanted: str) -> Branch | None:
        looks.append(wanted)
        return None if len(looks) == 2 else real(project, wanted)  # 1: the name is free; 2: the look

    monkeypatch.setattr(client, "find_branch", too_early)
    emulator.fault(route="POST /projects/*/branches", kind="lost")
    made = client.create_branch(project_id, called).branch
    assert (made.name, len(looks)) == (called, 3)
    assert [each.id for each in client.branches(project_id) if each.name == called] == [made.id]
    client.delete_branch(project_id, made.id)


@pytest.mark.parametrize("restored_id", ["kept", "new"])
def test_both_readings_of_neons_documents_about_ids_are_understood(
    new_emulator: Callable[..., Emulator], restored_id: str
) -> None:
    emulator = new_emulator("--restored-id", restored_id)
    try:
        root = make_root(emulator)
        project_id, main_id = root["project"]["id"], root["branch"]["id"]
        with client_that_pauses(emulator, lambda _: None) as client:
            emulator.fault(route="POST /projects/*/branches/*/restore", kind="lost")
            restored = client.restore_branch(project_id, main_id, moment=Moment(lsn=root["lsn"]), preserve_as="old")
            assert (restored.name, items(client, restored)) == ("main", [1])
            assert (restored.id == main_id) == (restored_id == "kept")
            snapshot = client.create_snapshot(project_id, restored.id, "good")
            looked_at = client.restore_snapshot(project_id, snapshot.id, "looked at", target_id=restored.id)
            emulator.fault(route="POST /projects/*/branches/*/finalize_restore", kind="lost")
            in_place = client.finalize_restore(project_id, looked_at.id, old_name="older")
            assert (in_place.name, items(client, in_place)) == ("main", [1])
            assert (in_place.id == restored.id) == (restored_id == "kept")
    finally:
        emulator.remove()


def client_that_pauses(emulator: Emulator, pause: Callable[[float], None]) -> NeonClient:
    """A client that does something else whenever it waits."""

    def wait(seconds: float) -> None:
        pause(seconds)
        time.sleep(seconds)

    return NeonClient(
        emulator.environment["NEON_API_KEY"],
        base_url=emulator.environment["NEON_API_URL"],
        policy=QUICK,
        clock=Clock(sleep=wait),
    )


def test_a_snapshot_that_fails_is_told_and_not_there(
    emulator: Emulator, client: NeonClient, project_id: str, main_id: str
) -> None:
    emulator.fault(operation="create_branch", message="storage is full")
    with pytest.raises(OperationFailed, match="storage is full"):
        client.create_snapshot(project_id, main_id, "half")
    assert client.find_snapshot(project_id, "half") is None


def test_what_is_no_moment_is_refused_before_neon_is_asked(client: NeonClient, project_id: str, main_id: str) -> None:
    with pytest.raises(UsageError, match="not both"):
        Moment(lsn="0/1", instant=datetime.now(UTC))
    with pytest.raises(UsageError, match="time zone"):
        client.restore_branch(project_id, main_id, moment=Moment(instant=datetime(2026, 11, 1)))  # noqa: DTZ001
    with pytest.raises(ApiError, match="root branch"):
        client.reset_branch(project_id, main_id)
    with pytest.raises(ApiError, match="waits for no restore"):
        client.finalize_restore(project_id, main_id, old_name=name())
    with pytest.raises(ApiError, match="not there yet"):
        client.create_branch(project_id, name(), moment=Moment(lsn="FFFF/0"))


def test_a_schema_is_read_now_and_at_a_moment_and_compared(
    client: NeonClient, root: Json, project_id: str, main_id: str
) -> None:
    dev = client.create_branch(project_id, name(), compute=Compute(0.25, 1)).branch
    assert client.compare_schema(project_id, dev.id, "app") == ""
    url = client.connection_uri(project_id, branch_id=dev.id, database="app", role="app_owner")
    with psycopg.connect(url.for_psycopg().dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE added (id int)")
    assert "CREATE TABLE public.added" in client.schema(project_id, dev.id, "app")
    assert "added" not in client.schema(project_id, main_id, "app", moment=Moment(lsn=root["lsn"]))
    assert "+CREATE TABLE public.added" in client.compare_schema(project_id, dev.id, "app", base_id=main_id)
    client.delete_branch(project_id, dev.id)
