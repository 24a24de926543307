"""When a backfill waits: for whoever it blocks, for autovacuum, for a replica that is behind, and for its budget of WAL."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dbclient.quoting import literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.backfill.batch import Batch
    from pipeline.migrations.batched import Batched
    from pipeline.postgres.session import Result

TARGET = 500.0  # milliseconds of a batch that nobody waits for
CONTENDED = 0.0  # milliseconds: one step and no second one, however quick, where somebody did
_CALM = 2.0  # seconds without anybody who waits before a batch may take twice as long
_MEGABYTE = 1_000_000
_MOST = 4 * _MEGABYTE  # of WAL in one batch: whoever commits meanwhile waits until the disk has it
# How far a replica may be behind. One that replays nothing has the lag of what it replayed last: its position tells.
_LAG = 10.0  # seconds
_BEHIND = 100 * _MEGABYTE

# An autovacuum worker belongs to no role, which everybody may see, while what it does is hidden from most. Its lock is not.
_LOOK = """
SELECT (SELECT pg_catalog.string_agg(DISTINCT l.relation::pg_catalog.regclass::text, ', ')
          FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid AND a.usesysid IS NULL
         WHERE l.mode = 'ShareUpdateExclusiveLock' AND l.granted AND l.locktype = 'relation'
           AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
           AND l.relation IN (SELECT t.oid FROM tables t UNION ALL SELECT t.reltoastrelid FROM tables t)),
       r.seconds, r.bytes
  FROM (SELECT coalesce(pg_catalog.max(EXTRACT(epoch FROM replay_lag)), 0) AS seconds,
               coalesce(pg_catalog.max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), replay_lsn)), 0) AS bytes
          FROM pg_catalog.pg_stat_replication WHERE state IN ('streaming', 'catchup')) AS r
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a backfill may use: megabytes of WAL per second, and in one run; 0: as much as it needs."""

    wal_rate: float = 0.0
    wal_total: float = 0.0


def look_sql(batched: Batched) -> str:
    """The query for whoever has to be waited for, beside those who wait for us."""
    table = f"{literal(batched.table)}::pg_catalog.regclass"
    tables = (
        f"WITH tables AS (SELECT oid, reltoastrelid FROM pg_catalog.pg_class WHERE oid = {table} "
        f"OR oid IN (SELECT relid FROM pg_catalog.pg_partition_tree({table})))"
    )
    return f"{tables}{_LOOK};"


def why_to_wait(look: Result) -> str:
    """What of a look is to be waited for, in words; empty for nothing."""
    vacuumed, lag, behind = look.rows[0]
    if vacuumed:
        return f"autovacuum is on {vacuumed}"
    if float(lag or 0) > _LAG:
        return f"a replica is {float(lag or 0):.0f} s behind"
    if float(behind or 0) > _BEHIND:
        return f"a replica is {float(behind or 0) / _MEGABYTE:.0f} MB of WAL behind"
    return ""


@dataclass
class Pace:
    """How long the next batch may take, and how long to rest before it."""

    limits: Limits = Limits()
    target: float = TARGET
    used: int = 0  # bytes of WAL so far
    _since: float = field(default_factory=time.monotonic)
    _busy: float = 0.0  # seconds that the batches took
    _blocked_at: float = 0.0

    def after(self, batch: Batch) -> tuple[float, str]:
        """Seconds to rest behind a batch, and why."""
        now = time.monotonic()
        self.used += batch.wal_bytes
        if batch.blocked:
            self.slow_down()
        elif self.target < TARGET and now - self._blocked_at >= _CALM:
            self.target = min(TARGET, 2 * max(self.target, batch.milliseconds))
            self._blocked_at = now
        if self.limits.wal_rate:
            rest = batch.wal_bytes / (self.limits.wal_rate * _MEGABYTE) - batch.milliseconds / 1000
            if rest > 0:
                return rest, f"{self.limits.wal_rate:g} MB of WAL a second are used up"
        return (batch.milliseconds / 1000, "somebody waited for it") if batch.blocked else (0.0, "")

    @property
    def wal_bytes(self) -> int:
        """How much the next batch may write: what is left, and no more than a second's."""
        left = self.limits.wal_total * _MEGABYTE - self.used if self.limits.wal_total else _MOST
        return round(min(left, self.limits.wal_rate * _MEGABYTE if self.limits.wal_rate else _MOST, _MOST))

    def slow_down(self) -> None:
        """Somebody is in the way: batches of one step, until nobody was for a while."""
        self.target = CONTENDED
        self._blocked_at = time.monotonic()

    @property
    def is_used_up(self) -> bool:
        """Whether the WAL of this run is used up."""
        return bool(self.limits.wal_total) and self.used >= self.limits.wal_total * _MEGABYTE


def looked(results: Sequence[Result]) -> tuple[Sequence[Result], Result | None]:
    """The results of a batch, and of the look behind it where there was one."""
    return (results, None) if results[-1].command == "COMMIT" else (results[:-1], results[-1])
