"""What the models used, summed from what was kept with each message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from dbclient.database import Database, Row

_USED_IN_THREAD = """
WITH used AS (
    SELECT "provider", "model", "usage" FROM "Message" WHERE "threadId" = $1 AND jsonb_typeof("usage") = 'object'
)
"""
_USED_BY_USER = """
WITH used AS (
    SELECT message."provider", message."model", message."usage"
    FROM "Thread" AS thread JOIN "Message" AS message ON message."threadId" = thread."id"
    WHERE thread."userId" = $1 AND message."createdAt" >= $2 AND message."createdAt" < $3
      AND jsonb_typeof(message."usage") = 'object'
)
"""
# The numbers at the top of `usage` are summed under their own names, since each provider has other ones.
_SUMS = """
, sums AS (
    SELECT used."provider", used."model", field.key, sum((field.value #>> '{}')::numeric) AS total
    FROM used, jsonb_each(used."usage") AS field
    WHERE jsonb_typeof(field.value) = 'number'
    GROUP BY used."provider", used."model", field.key
)
SELECT used."provider", used."model", count(*) AS messages, (
    SELECT coalesce(jsonb_object_agg(sums.key, sums.total), '{}')
    FROM sums
    WHERE (sums."provider", sums."model") IS NOT DISTINCT FROM (used."provider", used."model")
) AS totals
FROM used
GROUP BY used."provider", used."model"
ORDER BY used."provider", used."model"
"""
_OF_THREAD = _USED_IN_THREAD + _SUMS
_OF_USER = _USED_BY_USER + _SUMS


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """What one model of one provider used: how many messages, and the sum of each number in their `usage`."""

    provider: str | None
    model: str | None
    messages: int
    totals: dict[str, int | float]


async def of_thread(database: Database, thread_id: UUID) -> tuple[UsageTotal, ...]:
    """Sum the usage of a thread, for each provider and model."""
    return tuple(map(_total, await database.fetch(_OF_THREAD, thread_id)))


async def of_user(database: Database, user_id: str, *, since: datetime, until: datetime) -> tuple[UsageTotal, ...]:
    """Sum the usage of a person's threads from `since` until just before `until`, for each provider and model."""
    return tuple(map(_total, await database.fetch(_OF_USER, user_id, since, until)))


def _total(row: Row) -> UsageTotal:
    return UsageTotal(*row)
