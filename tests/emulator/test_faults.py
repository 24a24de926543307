from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from tests.emulator.urls import branch_path, project_path, uri

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

Json = dict[str, Any]


@pytest.mark.parametrize("status", [423, 429, 500, 503])
def test_the_next_calls_of_a_route_fail_and_then_no_more(emulator: Emulator, shared: Json, status: int) -> None:
    emulator.fault(route="GET /projects/*", status=status, times=2, retry_after=7)
    path = project_path(shared)
    other = emulator.api.get(f"{path}/branches")
    answers = [emulator.api.get(path) for _ in range(3)]

    assert other.status_code == 200
    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert answers[0].headers["Retry-After"] == "7"
    assert set(answers[0].json()) == {"request_id", "code", "message"}


def test_a_gateways_timeout_is_a_page(emulator: Emulator, shared: Json) -> None:
    emulator.fault(route="GET /projects/{id}", status=524)
    answer = emulator.api.get(project_path(shared))

    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (524, "text/html")


def test_a_hanging_call_hangs(emulator: Emulator, shared: Json) -> None:
    emulator.fault(route="GET /projects/*", kind="hang")

    with pytest.raises(httpx.ReadTimeout):
        emulator.api.get(project_path(shared), timeout=0.5)
    assert emulator.api.get(project_path(shared)).status_code == 200


def test_an_answer_is_lost_after_the_effect(emulator: Emulator, project: Json) -> None:
    emulator.fault(route="POST /projects/*/branches", kind="lost")
    path = f"{project_path(project)}/branches"

    with pytest.raises(httpx.RemoteProtocolError):
        emulator.api.post(path, json={"branch": {"name": "dev"}})
    assert "dev" in {branch["name"] for branch in emulator.ok("GET", path)["branches"]}


def test_an_error_after_the_effect(emulator: Emulator, project: Json) -> None:
    emulator.fault(route="POST /projects/*/branches", status=500, after_effect=True)
    path = f"{project_path(project)}/branches"
    answer = emulator.api.post(path, json={"branch": {"name": "dev"}})

    assert answer.status_code == 500
    assert "dev" in {branch["name"] for branch in emulator.ok("GET", path)["branches"]}


def test_a_refused_delete_deletes_nothing(emulator: Emulator, project: Json) -> None:
    dev = emulator.create_branch(project, name="dev")
    emulator.fault(route="DELETE /projects/*/branches/*", status=422, message="branch not ready yet")
    answer = emulator.api.delete(branch_path(dev))

    assert (answer.status_code, answer.json()["message"]) == (422, "branch not ready yet")
    with psycopg.connect(uri(dev)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_while_an_operation_runs_others_are_refused(emulator: Emulator, project: Json) -> None:
    emulator.fault(operation="create_branch", seconds=0.7)
    path = f"{project_path(project)}/branches"
    slow = emulator.api.post(path, json={"branch": {"name": "dev"}}).json()
    refused = emulator.api.post(path, json={"branch": {"name": "other"}})
    endpoint = {"endpoint": {"branch_id": slow["branch"]["id"]}}

    assert slow["branch"]["current_state"] == "init"
    assert slow["operations"][0]["status"] in {"scheduling", "running"}
    assert refused.status_code == 423
    assert refused.json()["message"].startswith("project already has running conflicting operations")
    assert emulator.api.post(f"{project_path(project)}/endpoints", json=endpoint).status_code == 423
    assert emulator.wait(slow["operations"][0])["status"] == "finished"
    emulator.ok("POST", path, json={"branch": {"name": "other"}})


def test_a_failed_operation_leaves_a_branch_that_is_never_ready_but_can_be_deleted(
    emulator: Emulator, project: Json
) -> None:
    emulator.fault(operation="create_branch", message="no storage")
    dev = emulator.create_branch(project, name="dev")
    statuses = [emulator.wait(operation)["status"] for operation in dev["operations"]]
    body = {"endpoint": {"branch_id": dev["branch"]["id"]}}
    answer = emulator.api.post(f"{project_path(project)}/endpoints", json=body)

    assert statuses == ["failed", "cancelled"]
    assert (answer.status_code, answer.json()["message"]) == (422, "branch not ready yet")
    emulator.ok("DELETE", branch_path(dev))


def test_a_role_whose_operation_failed_is_not_there(emulator: Emulator, project: Json) -> None:
    emulator.fault(operation="apply_config", message="no luck")
    emulator.ok("POST", f"{branch_path(project)}/roles", json={"role": {"name": "reader"}})

    assert emulator.api.get(f"{branch_path(project)}/roles/reader").status_code == 404


def test_faults_are_switched_from_the_command_line(emulator: Emulator, shared: Json) -> None:
    def switch(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "emulator", "fault", *words]
        environment = os.environ | {"NEON_EMULATOR_DATA": str(emulator.data), "HTTPS_PROXY": "http://127.0.0.1:9"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert switch("--route", "GET /projects/*", "--status", "503", "--times", "5").returncode == 0
    assert emulator.api.get(project_path(shared)).status_code == 503
    assert '"times": 4' in switch("--list").stdout
    assert switch("--clear").returncode == 0
    assert emulator.api.get(project_path(shared)).status_code == 200
    wrong = switch("--route", "nonsense")
    assert (wrong.returncode, "METHOD /path" in wrong.stderr) == (2, True)


def test_the_apis_key_does_not_open_the_administration(emulator: Emulator) -> None:
    key = f"Bearer {emulator.environment['NEON_API_KEY']}"

    assert emulator.admin.get("/faults", headers={"Authorization": key}).status_code == 401


def test_calls_can_be_counted(emulator: Emulator, shared: Json) -> None:
    wanted = {"method": "GET", "path": project_path(shared), "status": 200, "fault": None}
    before = emulator.admin.get("/calls").json()["calls"].count(wanted)
    threads = [threading.Thread(target=emulator.api.get, args=(project_path(shared),)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    made = emulator.admin.get("/calls").json()["calls"]
    assert made.count(wanted) == before + 5
