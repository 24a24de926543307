"""The API goes wrong: what is repeated, what is looked for first, and what a person is told."""

from __future__ import annotations

import itertools
import socket
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from pipeline.errors import ConfigurationError, UsageError
from pipeline.neon import ApiError, Compute, NeonClient, OutcomeUnknown, RetryPolicy
from pipeline.neon.transport import API, Clock, Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import Emulator

REFUSED = [423, 429, 500, 503, 524]
ACTED: list[dict[str, Any]] = [
    {"status": 503, "after_effect": True},
    {"status": 524, "after_effect": True},
    {"kind": "lost"},
]
BRANCHES = "POST /projects/*/branches"


def _name() -> str:
    return f"b-{uuid.uuid4().hex[:8]}"


@pytest.mark.parametrize("status", REFUSED)
def test_a_read_is_repeated_until_it_is_answered(
    emulator: Emulator, client: NeonClient, project_id: str, status: int
) -> None:
    emulator.fault(route="GET /projects/*", status=status, times=3)
    assert client.project(project_id).id == project_id


@pytest.mark.parametrize("status", REFUSED)
def test_a_branch_is_made_once_though_the_call_was_refused(
    emulator: Emulator, client: NeonClient, project_id: str, status: int
) -> None:
    name = _name()
    emulator.fault(route=BRANCHES, status=status, times=2)
    made = client.create_branch(project_id, name, compute=Compute(0.25, 1))
    assert [b.id for b in client.branches(project_id) if b.name == name] == [made.branch.id]


@pytest.mark.parametrize("fault", ACTED, ids=lambda fault: str(fault.get("kind", fault.get("status"))))
def test_a_branch_whose_answer_was_lost_is_found_instead_of_made_again(
    emulator: Emulator, client: NeonClient, project_id: str, fault: dict[str, Any]
) -> None:
    name = _name()
    emulator.fault(route=BRANCHES, **fault)
    made = client.create_branch(project_id, name, compute=Compute(0.25, 1))
    assert made.branch.name == name
    assert made.branch.current_state == "ready"
    assert made.endpoint is not None
    assert [b.id for b in client.branches(project_id) if b.name == name] == [made.branch.id]


@pytest.mark.parametrize("fault", ACTED, ids=lambda fault: str(fault.get("kind", fault.get("status"))))
def test_a_password_whose_answer_was_lost_is_made_again(
    emulator: Emulator, client: NeonClient, project_id: str, main_id: str, fault: dict[str, Any]
) -> None:
    emulator.fault(route="POST /projects/*/branches/*/roles/*/reset_password", **fault)
    password = client.reset_password(project_id, main_id, "app_owner")
    assert password == client.reveal_password(project_id, main_id, "app_owner")


@pytest.mark.parametrize("fault", ACTED, ids=lambda fault: str(fault.get("kind", fault.get("status"))))
def test_a_delete_whose_answer_was_lost_ends_with_the_branch_gone(
    emulator: Emulator, client: NeonClient, project_id: str, fault: dict[str, Any]
) -> None:
    branch = client.create_branch(project_id, _name()).branch
    emulator.fault(route="DELETE /projects/*/branches/*", **fault)
    client.delete_branch(project_id, branch.id)
    assert branch.id not in {found.id for found in client.branches(project_id)}


def test_a_call_that_hangs_is_given_up_and_repeated(emulator: Emulator, project_id: str) -> None:
    policy = RetryPolicy(request_timeout=0.5, first_pause=0.01)
    environment = emulator.environment
    with NeonClient(environment["NEON_API_KEY"], base_url=environment["NEON_API_URL"], policy=policy) as client:
        emulator.fault(route="GET /projects/*", kind="hang")
        assert client.project(project_id).id == project_id


def test_what_never_gets_better_is_told_with_neons_words_and_request_id(
    emulator: Emulator, client: NeonClient, project_id: str
) -> None:
    emulator.fault(route="GET /projects/*", status=423, times=50, message="project already has running operations")
    with pytest.raises(ApiError) as caught:
        client.project(project_id)
    assert caught.value.status == 423
    assert "423 project already has running operations (request " in caught.value.message
    assert "Wait for it" in caught.value.remedy


def test_a_page_of_the_gateway_that_is_no_json_is_an_error_that_reads_well(
    emulator: Emulator, client: NeonClient, project_id: str
) -> None:
    emulator.fault(route="GET /projects/*", status=524, times=50)
    with pytest.raises(ApiError, match=r"Neon refused GET /projects/.*: 524") as caught:
        client.project(project_id)
    assert "<" not in caught.value.message


def test_what_is_not_a_passing_fault_is_not_repeated(emulator: Emulator, client: NeonClient, project_id: str) -> None:
    emulator.fault(route="GET /projects/*", status=422)
    with pytest.raises(ApiError, match="422"):
        client.project(project_id)


def test_nobody_there_is_told_and_nothing_was_sent() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening: the port refuses
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        policy = RetryPolicy(attempts=2, first_pause=0.001)
        with NeonClient("k", base_url=url, policy=policy) as client, pytest.raises(ApiError) as caught:
            client.project("p")
    assert "no answer from Neon to GET /projects/p" in caught.value.message
    assert caught.value.status is None


# What cannot be asked of a server: exact pauses and answers that Neon should not give.


def _transport(answer: Callable[[httpx.Request], httpx.Response], pauses: list[float]) -> Transport:
    clock = Clock(now=lambda: 0.0, sleep=pauses.append, jitter=lambda _, high: high)
    made = Transport("napi_key", base_url=API, policy=RetryPolicy(attempts=6), clock=clock)
    made._http = httpx.Client(base_url=API, transport=httpx.MockTransport(answer))
    return made


def _client(answer: Callable[[httpx.Request], httpx.Response]) -> NeonClient:
    client = NeonClient("napi_key")
    client.close()
    client._transport = _transport(answer, [])
    return client


def test_the_pause_doubles_to_its_ceiling_on_top_of_what_neon_asked_for() -> None:
    pauses: list[float] = []
    transport = _transport(lambda _: httpx.Response(429, headers={"Retry-After": "3"}), pauses)
    with pytest.raises(ApiError):
        transport.get("/x")
    assert pauses == [3.25, 3.5, 4.0, 5.0, 7.0]
    transport.close()


@pytest.mark.parametrize(
    ("header", "least"),
    [
        ("Wed, 21 Oct 2026 07:28:00 +99999999999999999999", 0.0),
        ("0", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("soon", 0.0),
        ("9999", 10.0),
    ],
)
def test_any_retry_after_is_understood_and_bounded(header: str, least: float) -> None:
    pauses: list[float] = []
    transport = _transport(lambda _: httpx.Response(503, headers={"Retry-After": header}), pauses)
    with pytest.raises(ApiError):
        transport.get("/x")
    assert pauses[0] == least + 0.25
    transport.close()


@pytest.mark.parametrize("status", [500, 502, 503, 504, 524])
def test_a_call_that_must_not_be_repeated_is_not_when_it_may_have_acted(status: int) -> None:
    calls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.method)
        return httpx.Response(status)

    transport = _transport(answer, [])
    with pytest.raises(OutcomeUnknown):
        transport.call("POST", "/x", repeatable=False)
    assert calls == ["POST"]
    transport.close()


def test_a_key_that_the_server_repeats_is_masked() -> None:
    transport = _transport(lambda _: httpx.Response(400, json={"message": "bad key napi_key", "code": ""}), [])
    with pytest.raises(ApiError) as caught:
        transport.get("/x")
    assert "bad key ***" in str(caught.value)
    transport.close()


def test_a_missing_organization_says_how_to_give_it() -> None:
    transport = _transport(lambda _: httpx.Response(400, json={"message": "org_id is required, you can …"}), [])
    with pytest.raises(ApiError) as caught:
        transport.get("/projects")
    assert "pulumi config set --stack prod orgId" in caught.value.remedy
    transport.close()


UNREADABLE: list[dict[str, Any]] = [
    {"text": "<html>"},
    {"json": [1]},
    {"content": b"[" * 100_000},
    {"content": b"no gzip", "headers": {"Content-Encoding": "gzip"}},
]


@pytest.mark.parametrize("answer", UNREADABLE, ids=["no JSON", "no object", "too deep", "not what its header says"])
def test_an_answer_that_cannot_be_read_says_nothing_about_the_effect(answer: dict[str, Any]) -> None:
    transport = _transport(lambda _: httpx.Response(200, **answer), [])
    with pytest.raises(ApiError, match=r"not JSON|not an object|decompressing"):
        transport.get("/x")
    with pytest.raises(OutcomeUnknown):
        transport.call("POST", "/x", repeatable=False)
    transport.close()


def test_an_error_that_is_nested_too_deep_is_told_by_its_status() -> None:
    transport = _transport(lambda _: httpx.Response(400, content=b"[" * 100_000), [])
    with pytest.raises(ApiError, match="400 Bad Request"):
        transport.get("/x")
    transport.close()


def test_an_address_that_leads_elsewhere_is_named_with_its_variable() -> None:
    transport = _transport(lambda _: httpx.Response(308, headers={"Location": "https://one:secret@x/"}), [])
    with pytest.raises(ApiError, match="308") as caught:
        transport.get("/x")
    assert "NEON_API_URL" in caught.value.remedy
    assert "secret" not in str(caught.value)
    transport.close()


@pytest.mark.parametrize("key", ["two\nlines", "ein schlüssel", "a b", "nul\0", ""])
def test_a_key_that_no_header_holds_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigurationError, match="NEON_API_KEY") as caught:
        NeonClient(key, base_url=API)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("url", ["console.neon.tech", "ftp://x", "http://", "http://[::1", "http://x y", "http://x/?y"])
def test_an_address_that_is_none_is_refused_before_any_call(url: str) -> None:
    with pytest.raises(ConfigurationError, match="NEON_API_URL"):
        NeonClient("napi_key", base_url=url)


def test_an_id_that_is_none_changes_no_call_into_another() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json={})

    client = _client(answer)
    for branch in ("", ".", "..", "b?hard_delete=true", "b#", "../.."):
        with pytest.raises(UsageError, match="DELETE"):
            client.delete_branch("p", branch)
    assert asked == []
    client.close()


def test_pages_that_go_in_circles_come_to_an_end() -> None:
    cursors = itertools.cycle(["one", "two"])
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        assert len(asked) < 10
        return httpx.Response(200, json={"operations": [OPERATION], "pagination": {"cursor": next(cursors)}})

    client = _client(answer)
    assert {operation.id for operation in client.operations("p")} == {"o"}
    client.close()


OPERATION = {
    "id": "o",
    "project_id": "p",
    "action": "create_branch",
    "status": "finished",
    "created_at": "2026-01-01T00:00:00Z",
}


@pytest.mark.parametrize(
    "answer", [{"roles": 5}, {"roles": True}, {"roles": {"name": "one"}}, {"roles": ["one"]}, {"roles": [None]}]
)
def test_a_list_that_is_none_is_an_error_of_the_api(answer: dict[str, Any]) -> None:
    client = _client(lambda _: httpx.Response(200, json=answer))
    with pytest.raises(ApiError):
        client.roles("p", "b")
    client.close()


def test_a_branch_whose_last_answer_was_lost_is_looked_for_too(emulator: Emulator, project_id: str) -> None:
    environment, name = emulator.environment, _name()
    policy = RetryPolicy(attempts=1, operation_poll=0.02)
    with NeonClient(environment["NEON_API_KEY"], base_url=environment["NEON_API_URL"], policy=policy) as client:
        emulator.fault(route=BRANCHES, kind="lost")
        assert client.create_branch(project_id, name).branch.name == name


def test_a_role_of_any_name_gets_a_password(
    emulator: Emulator, client: NeonClient, project_id: str, main_id: str
) -> None:
    name = "what? a #1 (100%) röle"
    body = {"role": {"name": name}}
    emulator.ok("POST", f"/projects/{project_id}/branches/{main_id}/roles", json=body)

    assert client.reset_password(project_id, main_id, name) == client.reveal_password(project_id, main_id, name)


def test_an_answer_without_what_the_api_promises_is_an_error() -> None:
    client = _client(lambda _: httpx.Response(200, json={"project": {"id": "p"}}))
    with pytest.raises(ApiError, match="no field 'name'"):
        client.project("p")
    client.close()
