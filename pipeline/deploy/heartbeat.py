"""What a long statement is at, told while it runs: asked on a connection of its own, since the deploy's is busy with it.

A build of an index may say nothing for hours, and a log that says nothing looks like one that hangs.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from pipeline.postgres.connect import open_session
from pipeline.postgres.lock import APPLICATION, find_holder
from pipeline.postgres.session import Silence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from pipeline.deploy.observer import Observer
    from pipeline.postgres.session import Session

FIRST, AGAIN = 5.0, 30.0  # seconds of silence before the first look, and between two
_WAIT = 2.0  # seconds for a connection: meanwhile nobody reads what the deploy's own has to say

# The views of PostgreSQL's documentation, "Progress Reporting"; which counter moves depends on the phase. Whoever has the
# lock that is waited for is shown as far as our role may see it.
_LOOK = """
SELECT p.phase, p.done, p.total, p.unit, a.wait_event_type, a.wait_event,
       (SELECT pg_catalog.string_agg(pg_catalog.format('backend %s (%s)', b.pid, pg_catalog.concat_ws(', ', b.usename,
                 nullif(b.application_name, ''), b.state)), ', ' ORDER BY b.pid)
          FROM pg_catalog.pg_stat_activity b WHERE b.pid = ANY (pg_catalog.pg_blocking_pids(a.pid)))
  FROM pg_catalog.pg_stat_activity a LEFT JOIN (
       SELECT pid, phase, CASE WHEN phase LIKE 'waiting for %' THEN lockers_done
                               WHEN tuples_total > 0 THEN tuples_done ELSE blocks_done END AS done,
              CASE WHEN phase LIKE 'waiting for %' THEN lockers_total
                   WHEN tuples_total > 0 THEN tuples_total ELSE blocks_total END AS total,
              CASE WHEN phase LIKE 'waiting for %' THEN 'transactions' WHEN tuples_total > 0 THEN 'rows' ELSE 'blocks' END AS unit
         FROM pg_catalog.pg_stat_progress_create_index
        UNION ALL SELECT pid, phase, heap_blks_scanned, heap_blks_total, 'blocks' FROM pg_catalog.pg_stat_progress_vacuum
        UNION ALL SELECT pid, phase, heap_blks_scanned, heap_blks_total, 'blocks' FROM pg_catalog.pg_stat_progress_cluster
       ) AS p ON p.pid = a.pid
 WHERE a.pid = {pid}
"""


@contextmanager
def heartbeat(session: Session, url: DatabaseURL, observer: Observer) -> Iterator[None]:
    """While inside, tell the observer what the session's backend is at when it says nothing for FIRST seconds.

    The session has the deploy's lock, by which its backend is found: behind Neon's proxy the pid of a connection is made up.
    """

    def tell(seconds: float) -> None:
        observer.still_running(look(url), seconds)

    session.silence = Silence(tell, FIRST, AGAIN)
    try:
        yield
    finally:
        session.silence = None


def look(url: DatabaseURL) -> str:
    """What the backend that has the deploy's lock is at, in a few words. It never raises: the work goes on unseen then."""
    try:
        with open_session(url.direct(), application_name=f"{APPLICATION} heartbeat", wait=_WAIT) as session:
            holder = find_holder(session)
            rows = session.run(_LOOK.format(pid=holder.pid))[0].rows if holder is not None else ()
    except PipelineError as error:
        return f"and what it is at cannot be seen: {error.message}"
    if not rows:
        return "and what it is at cannot be seen"
    phase, done, total, unit, kind, event, blocked_by = (value or "" for value in rows[0])
    doing = [phase or "running"]
    if int(total or 0):
        doing.append(f"{100 * int(done or 0) // int(total)} % of {total} {unit}")
    if blocked_by:
        doing.append(f"held up by {blocked_by}")
    elif kind in {"Lock", "LWLock", "IPC"}:
        doing.append(f"waiting ({kind}: {event})")
    return ", ".join(doing)
