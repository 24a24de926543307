"""examples/server runs as it is, as `server`, directly and through PgBouncer; its types are checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from tests.examples.serving import wait_for_line

if TYPE_CHECKING:
    from chatdb.url import DatabaseURL
    from tests.support.typescript import Node


def test_a_conversation_is_created_written_and_read_back(node: Node, server_url: DatabaseURL) -> None:
    process = node.start("server.ts", url=server_url, PORT="0")
    try:
        with httpx.Client(base_url=wait_for_line(process.stdout, r"(http://[\d.:]+)")) as client:
            thread = client.post("/threads")
            assert thread.status_code == 201
            assert thread.json()["activeScopeKeys"] == []
            path = f"/threads/{thread.json()['id']}/messages"
            stored = [client.post(path, json={"role": role, "content": role}).json() for role in ("human", "ai")]
            assert client.get(path).json() == stored
            refused = client.post(path, json={"role": "robot", "content": "x"})
            assert refused.status_code == 400
            assert "Message_role_check" in refused.text
            assert client.get("/nowhere").status_code == 404
            print(client.get(path).text)
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_the_types_of_the_example_and_the_programs_hold(node: Node) -> None:
    options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2023", "--module", "nodenext"]
    options += ["--allowImportingTsExtensions", "--types", "node"]
    programs = sorted(file.name for file in node.folder.glob("*.ts"))
    done = node.start("node_modules/typescript/bin/tsc", *options, *programs, url="")
    out, err = done.communicate(timeout=120)
    assert done.returncode == 0, out + err
