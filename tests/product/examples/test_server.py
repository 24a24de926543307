"""examples/server runs as it is, as `server`, directly and through PgBouncer, and outlives every client."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.product.examples.fuzzing import exchange, refused_bodies, refused_paths, shoot, status_of
from tests.product.examples.serving import Serving, serve
from tests.support.counting_proxy import CountingProxy
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer
    from tests.support.services import Services
    from tests.support.typescript import Node

    Start = Callable[[DatabaseURL], Serving]


@pytest.fixture
def start(node: Node, tmp_path: Path) -> Iterator[Start]:
    """Starts the server; it is stopped in the end, and has closed its pool."""
    running: list[Serving] = []

    def started(url: DatabaseURL) -> Serving:
        running.append(
            serve(
                node.command("server.ts"),
                folder=node.folder,
                environment=node.environment(url, PORT="0"),
                log=tmp_path / f"{len(running)}.log",
                listening=r"listening on (http://[\d.:]+)",
            )
        )
        return running[-1]

    yield started
    for serving in running:
        assert serving.stop() == 0
        assert serving.printed.endswith("stopped\n")


@pytest.fixture
def directly(migrated: DatabaseURL, services: Services) -> DatabaseURL:
    return services.url("server", migrated)


def test_a_conversation_is_created_written_and_read_back(start: Start, server_url: DatabaseURL) -> None:
    with httpx.Client(base_url=start(server_url).url) as client:
        thread = client.post("/threads")
        assert thread.status_code == 201
        assert thread.json()["activeScopeKeys"] == []
        path = f"/threads/{thread.json()['id']}/messages"
        assert client.get(path).json() == []
        stored = [client.post(path, json={"role": role, "content": role}).json() for role in ("human", "ai")]
        assert client.get(path).json() == stored


def test_no_client_ends_it_and_what_is_wrong_is_explained_with_its_field(start: Start, directly: DatabaseURL) -> None:
    serving = start(directly)
    with httpx.Client(base_url=serving.url) as client:
        known = f"/threads/{client.post('/threads').json()['id']}/messages"
        unknown = f"/threads/{uuid4()}/messages"
        answer = client.post(unknown, json={"role": "human", "content": "x"})
        assert (answer.status_code, answer.json()) == (404, {"error": "there is no such thread"})
        assert client.get(unknown).status_code == 404

        answers = refused_bodies(client, known)
        assert {status for status, _ in answers.values()} == {400, 413}
        for body, (_, told) in answers.items():
            if body.startswith(b'{"role": "human", "content": ') and len(body) < 100 and b"\xff" not in body:
                assert told["field"] == "content", body
        assert answers[b'{"role": "robot", "content": "x"}'][1]["field"] == "role"
        assert client.get(known).json() == []

        refused_paths(client, serving.address)
        shoot(serving.address, known, seed=27, shots=250)
        assert client.post(known, json={"role": "human", "content": "still here"}).status_code == 201
    assert serving.process.poll() is None


def test_a_database_out_of_reach_is_a_503_and_comes_back(
    start: Start, directly: DatabaseURL, server: PostgresServer
) -> None:
    with CountingProxy(directly.host, directly.port or 5432) as proxy:
        target = proxy.target
        serving = start(directly.copy_with(host="127.0.0.1", port=proxy.port))
        message = {"role": "human", "content": "x"}
        with httpx.Client(base_url=serving.url, timeout=30) as client:
            path = f"/threads/{client.post('/threads').json()['id']}/messages"
            with psycopg.connect(server.superuser.reveal(), autocommit=True) as superuser:
                ended = superuser.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'server'"
                ).fetchall()
            assert ended  # an idle connection that the server ends does not end the program
            until(lambda: client.post(path, json=message).status_code == 201)

            proxy.target = ("127.0.0.1", 1)  # nobody listens there
            for link in proxy.links:
                link.drop()
            answer = client.post(path, json=message)
            assert answer.status_code == 503
            assert answer.json() == {"error": "the database is out of reach, try again"}
            assert answer.headers["retry-after"]
            proxy.target = target
            until(lambda: client.post(path, json=message).status_code == 201)


def test_it_stops_when_what_runs_has_ended(
    start: Start, directly: DatabaseURL, migrated: DatabaseURL, server: PostgresServer
) -> None:
    serving = start(directly)
    thread = httpx.post(f"{serving.url}/threads").json()["id"]
    with psycopg.connect(migrated.reveal()) as owner, ThreadPoolExecutor() as pool:
        owner.execute("""SELECT FROM "Thread" FOR UPDATE""")
        body = b'{"role": "human", "content": "x"}'
        head = f"POST /threads/{thread}/messages HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        under_way = pool.submit(exchange, serving.address, head.encode() + body)  # with keep-alive
        waits = "SELECT FROM pg_stat_activity WHERE usename = 'server' AND wait_event_type = 'Lock'"
        with psycopg.connect(server.superuser.reveal(), autocommit=True) as other:
            until(lambda: other.execute(waits).fetchall())
        serving.ask_to_stop()
        until(lambda: "stopping" in serving.printed)
        with pytest.raises(httpx.ConnectError):
            httpx.get(serving.url)
        owner.rollback()
        assert status_of(under_way.result(30)) == 201
    assert serving.process.wait(30) == 0


def test_the_types_of_the_example_and_the_programs_hold(node: Node) -> None:
    options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2023", "--module", "nodenext"]
    options += ["--allowImportingTsExtensions", "--types", "node"]
    programs = sorted(file.name for file in node.folder.glob("*.ts"))
    done = node.start("node_modules/typescript/bin/tsc", *options, *programs, url="")
    out, err = done.communicate(timeout=120)
    assert done.returncode == 0, out + err
