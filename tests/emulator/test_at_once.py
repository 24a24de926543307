"""Two requests at the same time: one of them is carried out, and the other finds what the first one did."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import TYPE_CHECKING, Any

import pytest

from emulator.clock import Clock
from emulator.computes import Computes
from emulator.history import History
from emulator.keeping import Keeping
from emulator.state import Project, Store, Timeline
from servers.account import Account
from tests.emulator.moments import write
from tests.emulator.urls import branch_path, endpoint_path, project_path, uri
from tests.support.in_loop import in_loop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from tests.support.emulator import Emulator

Json = dict[str, Any]


def at_once(ask: Callable[[], httpx.Response], times: int = 4) -> list[int]:
    """The status codes of equal requests that are sent together, sorted."""
    together = Barrier(times)

    def send(_: int) -> int:
        together.wait(30)
        return ask().status_code

    with ThreadPoolExecutor(times) as pool:
        return sorted(pool.map(send, range(times)))


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("branches", {"branch": {"name": "twin"}, "endpoints": [{"type": "read_write"}]}),
        ("branches/B/roles", {"role": {"name": "twin"}}),
        ("branches/B/databases", {"database": {"name": "twin", "owner_name": "app_owner"}}),
        ("branches/B/snapshot?name=twin", {}),
        ("branches/B/restore", {"source_branch_id": "B", "source_lsn": "LSN", "preserve_under_name": "twin"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_of_equal_requests_one_is_carried_out(emulator: Emulator, project: Json, route: str, body: Json) -> None:
    lsn, _ = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id", "INSERT INTO item VALUES (2)")
    main = project["branch"]["id"]
    wanted = {"B": main, "LSN": lsn}
    body = {name: wanted.get(value, value) if isinstance(value, str) else value for name, value in body.items()}
    path = f"{project_path(project)}/{route.replace('/B/', f'/{main}/')}"
    first, *others = at_once(lambda: emulator.api.post(path, json=body))
    assert first in {200, 201}
    assert set(others) <= {409, 423}, others
    emulator.answer("PATCH", branch_path(project), json={"branch": {"name": "main"}})  # nothing is under way any more

    def names(kind: str, key: str) -> list[str]:
        return [each["name"] for each in emulator.ok("GET", f"{project_path(project)}/{kind}")[key]]

    made = names("branches", "branches") + names(f"branches/{main}/roles", "roles") + names("snapshots", "snapshots")
    assert (made + names(f"branches/{main}/databases", "databases")).count("twin") == 1
    operations = emulator.ok("GET", f"{project_path(project)}/operations", params={"limit": 100})["operations"]
    assert {operation["status"] for operation in operations} == {"finished"}


def test_a_role_that_is_made_while_roles_are_listed_is_not_lost(emulator: Emulator, project: Json) -> None:
    path = f"{branch_path(project)}/roles"
    with ThreadPoolExecutor(3) as pool:
        for number in range(8):
            listings = [pool.submit(emulator.api.get, path) for _ in range(6)]
            made = emulator.ok("POST", path, json={"role": {"name": f"role_{number}"}})
            assert [emulator.wait(each)["status"] for each in made["operations"]] == ["finished"]
            assert {each.result(60).status_code for each in listings} == {200}
    names = {role["name"] for role in emulator.ok("GET", path)["roles"]}
    assert names == {"app_owner", *(f"role_{number}" for number in range(8))}


def test_what_a_replay_reads_stays_until_it_is_done(tmp_path: Path) -> None:
    clock = Clock()
    computes = Computes(tmp_path, Account.choose("postgres", "nobody"), "", clock)
    history = History(computes, clock)
    keeping = Keeping(computes, history, Store(tmp_path / "state.json"))
    project = Project("p", "p", "o", "r", 16, True, 3600, {}, {}, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z")
    project.timelines["t"] = Timeline("t", 1, 1, 0.0, 0, 0, 0.0)
    (computes.folder("t") / "data" / "pg_wal").mkdir(parents=True)
    history.replaying += 1
    in_loop(keeping.drop(project, "t"))
    assert computes.folder("t").exists()
    history.replaying -= 1
    keeping.prune(project)
    assert not computes.folder("t").exists()
    assert project.timelines == {}


def test_who_reads_while_a_compute_is_suspended_hears_of_no_fault(emulator: Emulator, project: Json) -> None:
    branch, path = branch_path(project), project_path(project)
    over = Event()

    def read(what: str) -> set[int]:
        found = set()
        while not over.is_set():
            found.add(emulator.api.get(what).status_code)
        return found

    with ThreadPoolExecutor(6) as pool:
        readers = [
            pool.submit(read, what)
            for what in (
                f"{branch}/roles",
                f"{branch}/databases",
                f"{branch}/roles/app_owner/reveal_password",
                f"{branch}/schema?db_name=app",
                f"{branch}/compare_schema?db_name=app",
                f"{path}/connection_uri?database_name=app&role_name=app_owner",
            )
        ]
        try:
            for verb in ("suspend", "start", "restart") * 4:
                emulator.ok("POST", f"{endpoint_path(project)}/{verb}")
        finally:
            over.set()
        found = set().union(*(reader.result(60) for reader in readers))

    assert found <= {200, 423}
