"""`ai_service`, `service_url`, `with_pool`: connections and a pool of dbclient, as the role of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from tests.support.in_loop import in_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dbclient.url import DatabaseURL
    from tests.support.services import Services

T = TypeVar("T")


@pytest.fixture
def ai_service(migrated: DatabaseURL, services: Services) -> DatabaseURL:
    """A migrated database as ai_service connects to it directly."""
    return services.url("ai_service", migrated)


@pytest.fixture(params=["directly", "through PgBouncer"])
def service_url(request: pytest.FixtureRequest, ai_service: DatabaseURL) -> DatabaseURL:
    """A migrated database as ai_service connects to it, both ways."""
    if request.param == "directly":
        return ai_service
    pooled = request.getfixturevalue("pooled")
    # Fewer connections than clients, so that each statement may meet another server process.
    pooler: DatabaseURL = pooled(ai_service, {"default_pool_size": "3"})
    return pooler.copy_merge_params({"pgbouncer": "true"})


@pytest.fixture
def with_pool(service_url: DatabaseURL) -> Callable[[Callable[[Any], Awaitable[T]]], T]:
    """Runs an async function with an open pool."""
    from dbclient.pool import close_pool, open_pool

    def run(test: Callable[[Any], Awaitable[T]]) -> T:
        async def inside() -> T:
            pool = await open_pool(service_url)
            try:
                return await test(pool)
            finally:
                await close_pool()

        return in_loop(inside())

    return run
