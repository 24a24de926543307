"""The catalogues in queries/ are what the real clients send: Prisma's as `server`, chatdb's as `ai_service`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from chatdb import consents, messages, threads, usage
from chatdb.errors import ThreadNotFound
from chatdb.messages import NewMessage, Role
from dbclient.pool import close_pool, open_pool
from tests.product.examples.serving import serve
from tests.support.in_loop import in_loop
from tests.support.tapping import Tap, tap
from tests.support.typescript import PROGRAMS, SERVER_EXAMPLE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

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
        in_loop(_every_function(tapped, tapped.url(services.url("ai_service", migrated))))
        catalogue("ai_service", tapped.statements(), "chatdb on asyncpg")


def test_every_function_of_chatdb_that_asks_the_database_is_in_the_catalogue() -> None:
    text = (ROOT / "queries" / "ai_service.sql").read_text()
    for module in (consents, messages, threads, usage):
        for name, value in vars(module).items():
            if iscoroutinefunction(value) and value.__module__ == module.__name__:
                called = f"{module.__name__}.{name}"
                assert called in text, f"call {called} in _every_function of {Path(__file__).name}"


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


async def _every_function(tapped: Tap, url: DatabaseURL) -> None:
    """Call each function of chatdb: with all that it takes, and with as little as it takes."""
    pool = await open_pool(url)

    async def call(function: Callable[..., Awaitable[Any]], *arguments: Any, **more: Any) -> Any:
        tapped.source = f"{function.__module__}.{function.__name__}"
        try:
            return await function(pool, *arguments, **more)
        finally:
            tapped.source = ""

    try:
        thread = (await call(threads.create)).id
        other = (await call(threads.create, user_id="ada", model="m", active_scope_keys=["mail"])).id
        least = NewMessage(Role.HUMAN, "x")
        most = NewMessage(Role.AI, "x", "n", "c", "p", "m", tool_calls=[{}], usage={"n": 1}, meta_json={})
        for message in (least, most):
            await call(messages.append, thread, message)
            await call(messages.append_many, thread, [message])
        page = await call(messages.history, thread, limit=1)
        await call(messages.history, thread, after=page.next)
        page = await call(messages.recent, thread, limit=1)
        await call(messages.recent, thread, before=page.next)
        for decide in (consents.grant, consents.revoke):
            await call(decide, thread, "mail")
            with pytest.raises(ThreadNotFound):  # what is sent where the first try wrote nothing, too
                await call(decide, uuid4(), "mail")
        await call(consents.is_granted, thread, "mail")
        await call(consents.state, thread)
        await call(consents.history, thread)
        await call(consents.history, thread, "mail")
        now = datetime.now(UTC)
        await call(usage.of_thread, thread)
        await call(usage.of_user, "ada", since=now - timedelta(days=1), until=now)
        await call(threads.get, thread)
        await call(threads.of_user, "ada")
        await call(threads.active_scopes, thread)
        await call(threads.set_active_scopes, thread, ["mail"])
        await call(threads.delete, other)
    finally:
        await close_pool()
