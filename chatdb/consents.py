"""Consents: what a person allowed in a thread, scope by scope.

Rows are only ever added; the newest of a scope is in force.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chatdb.turns import in_turn
from dbclient.readable import check_text

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from dbclient.database import Database, Row

_DECIDE = """
WITH turn AS (
    UPDATE "Thread" SET "activeScopeKeys" = CASE
        WHEN NOT $3 THEN array_remove("activeScopeKeys", $2)
        WHEN $2 = ANY ("activeScopeKeys") THEN "activeScopeKeys"
        ELSE array_append("activeScopeKeys", $2)
    END
    WHERE "id" = $1 AND xmin = (SELECT xmin FROM "Thread" WHERE "id" = $1)
    RETURNING "id"
)
INSERT INTO "ScopeConsent" ("threadId", "scopeKey", "granted", "createdAt")
SELECT turn."id", $2, $3, greatest(
    date_trunc('milliseconds', clock_timestamp()),
    (SELECT max("createdAt") + interval '1 millisecond' FROM "ScopeConsent" WHERE "threadId" = $1 AND "scopeKey" = $2)
)
FROM turn
RETURNING "id", "threadId", "scopeKey", "granted", "createdAt"
"""
_STATE = """
SELECT DISTINCT ON ("scopeKey") "id", "threadId", "scopeKey", "granted", "createdAt"
FROM "ScopeConsent" WHERE "threadId" = $1
ORDER BY "scopeKey" DESC, "createdAt" DESC
"""
_IN_FORCE = """
SELECT "granted" FROM "ScopeConsent" WHERE "threadId" = $1 AND "scopeKey" = $2 ORDER BY "createdAt" DESC LIMIT 1
"""
_HISTORY = """
SELECT "id", "threadId", "scopeKey", "granted", "createdAt"
FROM "ScopeConsent" WHERE "threadId" = $1 AND ($2::text IS NULL OR "scopeKey" = $2)
ORDER BY "createdAt", "id"
"""


@dataclass(frozen=True, slots=True)
class Consent:
    """A row of "ScopeConsent": one decision."""

    id: UUID
    thread_id: UUID
    scope_key: str
    granted: bool
    created_at: datetime


async def grant(database: Database, thread_id: UUID, scope_key: str) -> Consent:
    """Record that a scope was allowed and make it active in the thread, in one statement.

    Raises ThreadNotFound and UnreadableValue.
    """
    return _consent((await in_turn(database, _DECIDE, thread_id, check_text("scope_key", scope_key), True))[0])


async def revoke(database: Database, thread_id: UUID, scope_key: str) -> Consent:
    """Record that a scope was withdrawn and make it inactive in the thread, in one statement.

    Raises ThreadNotFound and UnreadableValue.
    """
    return _consent((await in_turn(database, _DECIDE, thread_id, check_text("scope_key", scope_key), False))[0])


async def is_granted(database: Database, thread_id: UUID, scope_key: str) -> bool:
    """Say whether the newest decision about a scope allows it. No decision is a no."""
    return bool(await database.fetchval(_IN_FORCE, thread_id, scope_key))


async def state(database: Database, thread_id: UUID) -> dict[str, Consent]:
    """Read the decisions in force in a thread, by scope key."""
    rows = await database.fetch(_STATE, thread_id)
    return {consent.scope_key: consent for consent in map(_consent, reversed(rows))}


async def history(database: Database, thread_id: UUID, scope_key: str | None = None) -> tuple[Consent, ...]:
    """Read every decision in a thread, or about one scope of it, oldest first."""
    return tuple(map(_consent, await database.fetch(_HISTORY, thread_id, scope_key)))


def _consent(row: Row) -> Consent:
    return Consent(*row)
