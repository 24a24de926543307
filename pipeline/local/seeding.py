"""`seed` on the checkout's local database, after the guard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.deploy.claim import nobody
from pipeline.deploy.entry import local_claim
from pipeline.environments import LOCAL, resolve
from pipeline.environments.guard import require_local
from pipeline.errors import Refused
from pipeline.local.seed import seed
from pipeline.local.server_identity import open_local

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.deploy.entry import Ask
    from pipeline.local.seed import Seeded


def seed_here(
    root: Path, *, threads: int, messages: int, number: int, tell: Callable[[str], None], ask: Ask = nobody
) -> Seeded:
    """Fill the local database. Raises what `seed` and `resolve` raise, and NotLocal."""
    environment = resolve(LOCAL, root=root, tell=tell)
    require_local(environment, "seed")
    with open_local(environment, "seed", claim=local_claim(root, environment, "seed", ask)) as session:
        if session.run("""SELECT pg_catalog.to_regclass('public."ScopeConsent"')""")[0].rows[0][0] is None:
            raise Refused("the local database has no tables for conversations yet", remedy="Run `./inv migrate` first.")
    return seed(environment.url, threads=threads, messages=messages, number=number)
