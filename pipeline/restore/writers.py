"""Who else is connected to an environment: what they write until it goes back is lost, and nobody can tell them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.postgres.lock import APPLICATION

if TYPE_CHECKING:
    from pipeline.postgres.session import Session

# Neon's own sessions are a superuser's. What another role's session does is hidden from ours, that it is there is not.
_CONNECTED = f"""
SELECT a.usename, count(*)
  FROM pg_catalog.pg_stat_activity AS a JOIN pg_catalog.pg_roles AS r ON r.oid = a.usesysid
 WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid() AND NOT r.rolsuper
   AND coalesce(a.application_name, '') NOT LIKE '{APPLICATION}%'
 GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Writers:
    """How many sessions others have, by role."""

    sessions: tuple[tuple[str, int], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sessions)

    def __str__(self) -> str:
        """As "server (3 sessions), ai_service (1 session)"."""
        return ", ".join(f"{role} ({count} session{'s' if count != 1 else ''})" for role, count in self.sessions)


def find_writers(session: Session) -> Writers:
    """Look who is connected at this moment. A pooler may hold sessions of clients that are idle, and hide those that wait."""
    rows = session.run(_CONNECTED)[0].rows
    return Writers(tuple((role or "", int(count or 0)) for role, count in rows))
