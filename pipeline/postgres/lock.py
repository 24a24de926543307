"""The lock that lets one deploy at a time into a database.

A session's advisory lock: it ends with its session, however that ends. It is tried and never waited for in the server:
a waiter holds a snapshot, and CREATE INDEX CONCURRENTLY would wait for that while it waits for the lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.postgres.session import Session

# Any constant will do as long as it never changes; databases of one cluster have locks of their own.
KEY = 0x6D6967726174696F  # "migratio"

# Of the session that works on backfills: a deploy goes on meanwhile.
BACKFILL_KEY = KEY + 1

# How every session of ours begins its name, which others see in pg_stat_activity.
APPLICATION = "db-pipeline"

TRY = f"pg_catalog.pg_try_advisory_lock({KEY})"

_HOLDER = """
SELECT l.pid, a.application_name, a.usename, a.client_addr, a.state,
       pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - a.backend_start)
  FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
   AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
   AND l.classid::bigint << 32 | l.objid::bigint = {key}
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """The session that has the lock, as far as our role may see it."""

    pid: str
    application: str
    user: str
    address: str
    connected_for: str  # as PostgreSQL writes an interval

    @property
    def is_deploy(self) -> bool:
        """Whether it says that it is one of ours. Its name is hidden from who has not its role's rights."""
        return self.application.startswith(APPLICATION)

    def __str__(self) -> str:
        """One line: who it is, and how to end it if it is known to be dead."""
        who = self.application or (f"a session of the role {self.user}" if self.user else "a session")
        by = f" ({self.user}@{self.address or 'local'})" if self.user and self.application else ""
        since = f", connected for {self.connected_for}" if self.connected_for else ""
        return f"{who}{by}, backend {self.pid}{since}"


def find_holder(session: Session, key: int = KEY) -> Holder | None:
    """Who has the lock at this moment, if anybody."""
    rows = session.run(_HOLDER.format(key=key))[0].rows
    if not rows:
        return None
    pid, application, user, address, _, connected = (value or "" for value in rows[0])
    return Holder(pid, application, user, address, connected)
