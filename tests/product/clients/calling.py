"""Every function of chatdb that asks the database, called as `ai_service`: with all that it takes, and with as little."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from chatdb import consents, messages, threads, usage
from chatdb.errors import ThreadNotFound
from chatdb.messages import NewMessage, Role
from dbclient.pool import close_pool, open_pool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dbclient.url import DatabaseURL


async def every_function(url: DatabaseURL, about_to_call: Callable[[str], None]) -> None:
    """Call them; there is a person `ada`. `about_to_call` is told of each, and of the end of it with nothing."""
    pool = await open_pool(url)

    async def call(function: Callable[..., Awaitable[Any]], *arguments: Any, **more: Any) -> Any:
        about_to_call(f"{function.__module__}.{function.__name__}")
        try:
            return await function(pool, *arguments, **more)
        finally:
            about_to_call("")

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
