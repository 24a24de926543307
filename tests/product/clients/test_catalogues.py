"""The catalogues in queries/ are what the real clients send: Prisma's as `server`, chatdb's as `ai_service`."""

from __future__ import annotations

from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psycopg

from chatdb import consents, messages, threads, usage
from tests.product.clients.calling import every_function
from tests.product.examples.serving import serve
from tests.support.in_loop import in_loop
from tests.support.tapping import tap
from tests.support.typescript import PROGRAMS, SERVER_EXAMPLE

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.support.catalogues import Catalogue
    from tests.support.services import Services
    from tests.support.typescript import Node

ROOT = Path(__file__).parents[3]


def test_the_servers_catalogue_is_what_prisma_sends(
    node: Node, migrated: DatabaseURL, services: Services, catalogue: Catalogue, tmp_path: Path
) -> None:
    with psycopg.connect(migrated.reveal()) as connection:
        row = connection.execute('INSERT INTO "Thread" DEFAULT VALUES RETURNING "id"').fetchone()
        assert row
    with tap(migrated) as tapped:
        url = tapped.url(services.url("server", migrated))
        for program in ("conversation.ts", "reading.ts", "sign_in.ts"):
            tapped.source = str((PROGRAMS / program).relative_to(ROOT))
            node.run(program, url=url, THREAD_ID=str(row[0]))
        tapped.source = str(SERVER_EXAMPLE.relative_to(ROOT))
        _serve(node, url, tmp_path / "server.log")
        catalogue("server", tapped.statements(), "Prisma's client")


def test_the_ai_services_catalogue_is_what_chatdb_sends(
    migrated: DatabaseURL, services: Services, catalogue: Catalogue
) -> None:
    with psycopg.connect(migrated.reveal()) as connection:
        connection.execute("""INSERT INTO "User" ("id") VALUES ('ada')""")
    with tap(migrated) as tapped:

        def note(function: str) -> None:
            tapped.source = function

        in_loop(every_function(tapped.url(services.url("ai_service", migrated)), note))
        catalogue("ai_service", tapped.statements(), "chatdb on asyncpg")


def test_every_function_of_chatdb_that_asks_the_database_is_in_the_catalogue() -> None:
    text = (ROOT / "queries" / "ai_service.sql").read_text()
    for module in (consents, messages, threads, usage):
        for name, value in vars(module).items():
            if iscoroutinefunction(value) and value.__module__ == module.__name__:
                called = f"{module.__name__}.{name}"
                assert called in text, (
                    f"call {called} in tests/product/clients/calling.py, and write the catalogue anew"
                )


def _serve(node: Node, url: DatabaseURL, log: Path) -> None:
    serving = serve(
        node.command("server.ts"),
        folder=node.folder,
        environment=node.environment(url, PORT="0"),
        log=log,
        listening=r"listening on (http://[\d.:]+)",
    )
    try:
        with httpx.Client(base_url=serving.url) as client:
            path = f"/threads/{client.post('/threads').json()['id']}/messages"
            client.get(path)
            client.post(path, json={"role": "human", "content": "x"})
            assert len(client.get(path).json()) == 1
    finally:
        serving.stop()
