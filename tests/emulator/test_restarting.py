from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psycopg

from emulator.clock import Clock
from emulator.computes import Computes
from emulator.state import Branch
from servers.account import Account
from servers.processes import process_exists
from tests.emulator.moments import write
from tests.emulator.urls import branch_path, endpoint_path, project_path, uri
from tests.support.in_loop import in_loop
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.servers import Cluster
    from tests.support.emulator import Emulator

Json = dict[str, Any]


def started_at(url: str) -> object:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT pg_postmaster_start_time()").fetchone()


def test_everything_is_there_after_a_restart(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator()
    project = emulator.create_project()
    with psycopg.connect(uri(project)) as connection:
        connection.execute("CREATE TABLE item AS SELECT 1 AS id")
    dev = emulator.create_branch(project, name="dev")
    before = emulator.ok("GET", branch_path(dev))["branch"], emulator.environment["NEON_API_KEY"]
    emulator.stop()
    assert list(emulator.data.glob("branches/*/data/postmaster.pid")) == []
    emulator.start()

    assert before == (emulator.ok("GET", branch_path(dev))["branch"], emulator.environment["NEON_API_KEY"])
    assert emulator.ok("GET", endpoint_path(dev))["endpoint"]["current_state"] == "idle"
    for url in (uri(project), uri(dev)):
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM item").fetchone() == (1,)


def test_servers_of_a_killed_emulator_are_found_again(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator()
    project = emulator.create_project()
    with psycopg.connect(uri(project), autocommit=True) as connection:
        connection.execute("CREATE ROLE made_unwatched NOLOGIN")
    before = started_at(uri(project))
    emulator.kill()
    emulator.start()

    assert started_at(uri(project)) == before
    names = [role["name"] for role in emulator.ok("GET", f"{branch_path(project)}/roles")["roles"]]
    assert names == ["app_owner", "made_unwatched"]
    emulator.ok("POST", f"{endpoint_path(project)}/suspend")
    assert list(emulator.data.glob("branches/*/data/postmaster.pid")) == []


def test_an_operation_cut_by_a_kill_is_done_at_the_next_start(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator()
    project = emulator.create_project()
    emulator.fault(operation="create_branch", seconds=60)
    body = {"branch": {"name": "dev"}, "endpoints": [{"type": "read_write"}]}
    dev = emulator.api.post(f"{project_path(project)}/branches", json=body).json()
    emulator.kill()
    emulator.start()

    assert [emulator.wait(operation)["status"] for operation in dev["operations"]] == ["finished", "finished"]
    with psycopg.connect(uri(dev)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_work_that_was_done_before_the_kill_can_be_done_again(another_emulator: Callable[..., Emulator]) -> None:
    """A kill between the work and the note that it is finished: each kind of work is done twice."""
    emulator = another_emulator()
    project = emulator.create_project()
    root, main = project_path(project), branch_path(project)
    (lsn,) = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    write(uri(project), "INSERT INTO item VALUES (2)")
    dev = emulator.create_branch(project, name="dev")
    other = emulator.create_branch(project, name="other")

    def again(method: str, path: str, **options: Any) -> Json:
        answer = emulator.ok(method, path, **options)
        emulator.kill()
        state = json.loads((emulator.data / "state.json").read_text())
        redone = {operation["id"] for operation in answer["operations"]}
        for operation in state["projects"][0]["operations"]:
            operation["status"] = "scheduling" if operation["id"] in redone else operation["status"]
        (emulator.data / "state.json").write_text(json.dumps(state))
        emulator.start()
        ended = {operation["action"]: emulator.wait(operation) for operation in answer["operations"]}
        assert {action: found["status"] for action, found in ended.items()} == dict.fromkeys(ended, "finished"), ended
        assert redone
        return answer

    again("POST", f"{main}/roles", json={"role": {"name": "twin"}})
    again("POST", f"{main}/databases", json={"database": {"name": "twin", "owner_name": "twin"}})
    again("PATCH", f"{main}/databases/twin", json={"database": {"name": "renamed"}})
    again("DELETE", f"{main}/databases/renamed")
    again("DELETE", f"{main}/roles/twin")
    again("PATCH", endpoint_path(dev), json={"endpoint": {"suspend_timeout_seconds": 600}})
    again("POST", f"{endpoint_path(dev)}/suspend")
    again("POST", f"{endpoint_path(dev)}/start")
    again("POST", f"{endpoint_path(dev)}/restart")
    again("POST", f"{branch_path(dev)}/reset", json={"preserve_under_name": "dev before"})
    again("POST", f"{root}/branches", json={"branch": {"name": "past", "parent_lsn": lsn}})
    again("POST", f"{root}/branches", json={"branch": {"name": "bare", "init_source": "schema-only"}})
    kept = again("POST", f"{main}/snapshot", params={"name": "kept", "lsn": lsn})["snapshot"]
    wanted = {"name": "looked at", "target_branch_id": project["branch"]["id"]}
    looked_at = again("POST", f"{root}/snapshots/{kept['id']}/restore", json=wanted)["branch"]
    again("POST", f"{root}/branches/{looked_at['id']}/finalize_restore", json={"name": "main before"})
    again("DELETE", f"{root}/snapshots/{kept['id']}")
    again("DELETE", endpoint_path(other))
    again("DELETE", branch_path(other))
    again("POST", f"{root}/endpoints", json={"endpoint": {"branch_id": branch_id(emulator, project, "past")}})
    again("DELETE", f"{root}/branches/{branch_id(emulator, project, 'past')}", params={"hard_delete": "true"})

    names = {each["name"] for each in emulator.ok("GET", f"{root}/branches")["branches"]}
    assert names == {"main", "main before", "dev", "dev before", "bare"}
    with psycopg.connect(uri(project)) as connection:
        assert connection.execute("SELECT id FROM item").fetchall() == [(1,)]
    with psycopg.connect(uri(dev)) as connection:
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (2,)


def branch_id(emulator: Emulator, project: Json, name: str) -> str:
    listed = emulator.ok("GET", f"{project_path(project)}/branches")["branches"]
    return next(str(branch["id"]) for branch in listed if branch["name"] == name)


def test_a_server_that_died_is_started_again_for_the_next_connection(emulator: Emulator, project: Json) -> None:
    pid_file = emulator.data / "branches" / project["branch"]["id"] / "data" / "postmaster.pid"
    with psycopg.connect(uri(project)) as connection:
        connection.execute("CREATE TABLE item AS SELECT 1 AS id")
    before = started_at(uri(project))
    kill(int(pid_file.read_text().splitlines()[0]))

    with psycopg.connect(uri(project)) as connection:
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (1,)
    assert started_at(uri(project)) != before


def test_two_emulators_do_not_share_a_folder(emulator: Emulator) -> None:
    command = [sys.executable, "-m", "emulator", "--data", str(emulator.data)]
    second = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (second.returncode, "another emulator runs" in second.stderr) == (2, True)


def test_what_is_not_in_the_state_is_swept_away(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator()
    project = emulator.create_project()
    pid = int((emulator.data / "branches" / project["branch"]["id"] / "data" / "postmaster.pid").read_text().split()[0])
    emulator.kill()
    (emulator.data / "state.json").unlink()
    emulator.start()

    until(lambda: not process_exists(pid))  # whoever inherited it takes note of its end
    assert list((emulator.data / "branches").iterdir()) == []


def test_secrets_of_the_data_folder_are_for_its_owner_only(emulator: Emulator, shared: Json) -> None:
    names = ("api-key", "admin-token", "superuser-password", "ca.key", "state.json")

    assert shared
    assert {stat.S_IMODE((emulator.data / name).stat().st_mode) for name in names} == {0o600}
    assert emulator.environment["NEON_API_KEY"] not in (emulator.data / "emulator.log").read_text()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: not process_exists(pid))


async def was_given_up(server: Cluster) -> bool:
    """Give a start up once its process is there; false where it was over by then, as on a machine with other work."""
    begun = asyncio.create_task(server.start({}))
    while not server.running and not begun.done():  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0)
    begun.cancel()
    await asyncio.wait([begun])
    if begun.cancelled():
        return True
    begun.result()  # raises what the start raised
    return False


def test_a_start_that_is_given_up_leaves_no_server_that_takes_nobody(emulator: Emulator, shared: Json) -> None:
    """A client that wakes a compute is dropped before it is awake: whoever comes next starts it anew."""
    assert shared
    account = Account.choose("postgres", "nobody")
    password = (emulator.data / "superuser-password").read_text().strip()
    computes = Computes(emulator.data, account, password, Clock())
    now = Clock().stamp()
    branch = Branch("br-of-this-test", "main", now, now, now)

    async def give_up_and_start() -> object:
        await computes.create(branch)
        server = computes.cluster(branch)
        while not await was_given_up(server):
            await server.stop()
        assert not server.running
        await server.start({})
        async with await server.connect() as connection:
            found = await (await connection.execute("SELECT 1")).fetchone()
        await computes.remove(branch.timeline)
        return found

    assert in_loop(give_up_and_start()) == (1,)
