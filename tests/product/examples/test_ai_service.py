"""examples/ai_service runs as it is, as `ai_service`, directly and through PgBouncer, and outlives every client."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.product.examples.fuzzing import LARGEST_BODY, exchange, refused_bodies, refused_paths, shoot, status_of
from tests.product.examples.serving import Serving, serve
from tests.support.counting_proxy import CountingProxy
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer
    from tests.support.services import Services

    Start = Callable[..., Serving]

ROOT = Path(__file__).parents[3]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the service as its docstring says; it is stopped in the end, and has closed its pool."""
    running: list[Serving] = []

    def started(url: DatabaseURL, **variables: str) -> Serving:
        command = [sys.executable, "-m", "uvicorn", "--app-dir", "examples/ai_service", "app:app", "--port", "0"]
        command += ["--limit-concurrency", "200", "--timeout-graceful-shutdown", "20"]
        environment = {**os.environ, "DATABASE_URL": url.reveal(), "PYTHONPATH": str(ROOT), **variables}
        running.append(
            serve(
                command,
                folder=ROOT,
                environment=environment,
                log=tmp_path / f"{len(running)}.log",
                listening=r"running on (http://[\d.:]+)",
            )
        )
        return running[-1]

    yield started
    for serving in running:
        serving.stop()
        assert "Application shutdown complete" in serving.printed


@pytest.fixture
def ai_service(migrated: DatabaseURL, services: Services) -> DatabaseURL:
    return services.url("ai_service", migrated)


@pytest.fixture(params=["directly", "through PgBouncer"])
def client(request: pytest.FixtureRequest, start: Start, ai_service: DatabaseURL) -> Iterator[httpx.Client]:
    url = ai_service
    if request.param != "directly":
        url = request.getfixturevalue("pooled")(url).copy_merge_params({"pgbouncer": "true"})
    with httpx.Client(base_url=start(url).url) as opened:
        yield opened


def test_a_conversation_is_created_written_and_read_back(client: httpx.Client) -> None:
    thread = client.post("/threads")
    assert thread.status_code == 201
    path = f"/threads/{thread.json()['id']}/messages"

    one = client.post(path, json={"role": "human", "content": "What is the time?"})
    more = client.post(path, json=[{"role": "tool", "content": "12:00"}, {"role": "ai", "content": "Noon."}])
    assert (one.status_code, more.status_code) == (201, 201)

    page: dict[str, Any] = client.get(path).json()
    assert [(each["role"], each["content"]) for each in page["messages"]] == [
        ("human", "What is the time?"),
        ("tool", "12:00"),
        ("ai", "Noon."),
    ]
    assert page["messages"] == one.json() + more.json()
    assert page["next"] is None

    # A long history comes in pages.
    path = f"/threads/{client.post('/threads').json()['id']}/messages"
    for first in (0, 60):
        numbers = range(first, first + 60)
        client.post(path, json=[{"role": "human", "content": str(number)} for number in numbers])
    seen, after = [], None
    while True:
        page = client.get(path, params={"after": after} if after else {}).json()
        seen += [each["content"] for each in page["messages"]]
        after = page["next"]
        if after is None:
            break
    assert seen == [str(number) for number in range(120)]


def test_what_is_wrong_is_explained_with_its_field(start: Start, ai_service: DatabaseURL) -> None:
    serving = start(ai_service)
    with httpx.Client(base_url=serving.url) as client:
        known = f"/threads/{client.post('/threads').json()['id']}/messages"
        unknown = f"/threads/{uuid4()}/messages"
        assert client.post(unknown, json={"role": "human", "content": "x"}).status_code == 404
        assert client.get(unknown).status_code == 404
        assert client.get(known, params={"after": "nonsense"}).json()["field"] == "after"
        many = client.post(known, json=[{"role": "human", "content": "x"}] * 101)
        assert many.status_code == 400

        answers = refused_bodies(client, known)
        assert {status for status, _ in answers.values()} == {400, 413}
        fields = {body: answer.get("field") for body, (_, answer) in answers.items()}
        for body in (b"5", b"null", b'"x"', b"[]", b"{"):
            assert fields[body] is None
        assert fields[b"[null]"] == "[0]"
        for body, field in fields.items():
            if body.startswith(b'{"role": "human", "content": ') and len(body) < 100 and b"\xff" not in body:
                assert field == "content", body
        assert fields[b'{"role": "robot", "content": "x"}'] == "role"
        bad = client.post(known, json=[{"role": "ai", "content": "x"}, {"role": "ai", "content": "\0"}])
        assert (bad.status_code, bad.json()["field"]) == (400, "[1].content")
        assert client.get(known).json()["messages"] == []


def test_no_client_ends_it(start: Start, ai_service: DatabaseURL) -> None:
    serving = start(ai_service)
    with httpx.Client(base_url=serving.url) as client:
        path = f"/threads/{client.post('/threads').json()['id']}/messages"
        refused_paths(client, serving.address)
        shoot(serving.address, path, seed=20, shots=250)
        assert client.post(path, json={"role": "human", "content": "still here"}).status_code == 201
    assert serving.process.poll() is None
    assert "Traceback" not in serving.printed


def test_a_database_out_of_reach_is_a_503_and_comes_back(start: Start, ai_service: DatabaseURL) -> None:
    with CountingProxy(ai_service.host, ai_service.port or 5432) as proxy:
        target = proxy.target
        serving = start(ai_service.copy_with(host="127.0.0.1", port=proxy.port), REQUEST_SECONDS="1")
        with httpx.Client(base_url=serving.url) as client:
            path = f"/threads/{client.post('/threads').json()['id']}/messages"
            proxy.target = ("127.0.0.1", 1)  # nobody listens there
            for link in proxy.links:
                link.drop()
            answer = client.post(path, json={"role": "human", "content": "x"})
            assert answer.status_code == 503
            assert answer.json() == {"error": "the database is out of reach, try again"}
            assert answer.headers["retry-after"]
            proxy.target = target
            until(lambda: client.post(path, json={"role": "human", "content": "x"}).status_code == 201)


def test_it_stops_when_what_runs_has_ended(
    start: Start, ai_service: DatabaseURL, migrated: DatabaseURL, server: PostgresServer
) -> None:
    serving = start(ai_service)
    thread = httpx.post(f"{serving.url}/threads").json()["id"]
    with psycopg.connect(migrated.reveal()) as owner, ThreadPoolExecutor() as pool:
        owner.execute("""SELECT FROM "Thread" FOR UPDATE""")
        body = b'{"role": "human", "content": "x"}'
        head = f"POST /threads/{thread}/messages HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
        under_way = pool.submit(exchange, serving.address, f"{head}connection: close\r\n\r\n".encode() + body)
        waits = "SELECT FROM pg_stat_activity WHERE usename = 'ai_service' AND wait_event_type = 'Lock'"
        with psycopg.connect(server.superuser.reveal(), autocommit=True) as other:
            until(lambda: other.execute(waits).fetchall())
        serving.ask_to_stop()
        until(lambda: "Waiting for" in serving.printed or "Shutting down" in serving.printed)
        owner.rollback()
        assert status_of(under_way.result(30)) == 201
    serving.process.wait(30)


def test_the_limits_of_the_example_are_those_of_the_test() -> None:
    assert f"LARGEST_BODY = 1 << {LARGEST_BODY.bit_length() - 1}" in (ROOT / "examples/ai_service/app.py").read_text()
    assert f"LARGEST_BODY = 1 << {LARGEST_BODY.bit_length() - 1}" in (ROOT / "examples/server/server.ts").read_text()
