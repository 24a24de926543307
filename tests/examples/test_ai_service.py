"""examples/ai_service runs as it is, as `ai_service`, directly and through PgBouncer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest

from tests.examples.serving import wait_for_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb.url import DatabaseURL
    from tests.support.services import Services

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["directly", "through PgBouncer"])
def client(request: pytest.FixtureRequest, migrated: DatabaseURL, services: Services) -> Iterator[httpx.Client]:
    url = services.url("ai_service", migrated)
    if request.param != "directly":
        url = request.getfixturevalue("pooled")(url).copy_merge_params({"pgbouncer": "true"})
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--app-dir", "examples/ai_service", "app:app", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url.reveal(), "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = wait_for_line(process.stderr, r"running on (http://[\d.:]+)")
        with httpx.Client(base_url=address) as opened:
            yield opened
    finally:
        process.terminate()
        _, rest = process.communicate(timeout=30)
    assert "Application shutdown complete" in rest


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
    print(client.get(path).text)


def test_a_long_history_comes_in_pages(client: httpx.Client) -> None:
    path = f"/threads/{client.post('/threads').json()['id']}/messages"
    client.post(path, json=[{"role": "human", "content": str(number)} for number in range(120)])
    seen, after = [], None
    while True:
        page = client.get(path, params={"after": after} if after else {}).json()
        seen += [each["content"] for each in page["messages"]]
        after = page["next"]
        if after is None:
            break
    assert seen == [str(number) for number in range(120)]


def test_what_is_wrong_is_explained(client: httpx.Client) -> None:
    known = f"/threads/{client.post('/threads').json()['id']}/messages"
    unknown = f"/threads/{uuid4()}/messages"
    assert client.post(unknown, json={"role": "human", "content": "x"}).status_code == 404
    assert client.post(known, json={"role": "robot", "content": "x"}).status_code == 400
    assert client.get(known, params={"after": "nonsense"}).status_code == 400
