"""The statements that production itself saw: pg_stat_statements, read over production's URL, which nothing else here needs.

They are as the server keeps them, with a number in place of each value, and named by their query ids. Their texts are planned
on the copy, and never shown. On Neon the server forgets them when the compute is suspended or restarted, and shows them to the
roles that its API made (neon_superuser is a member of pg_monitor).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import services as product
from dbclient.quoting import literal
from pipeline.errors import DatabaseFailed
from pipeline.postgres.connect import open_session
from pipeline.postgres.lock import APPLICATION
from pipeline.postgres.session import ServerError
from pipeline.rehearsal.compatibility.catalogue import Sent, is_planned
from pipeline.rehearsal.compatibility.reading import TRAFFIC, Known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbclient.url import DatabaseURL
    from pipeline.postgres.session import Row, Session
    from pipeline.rehearsal.compatibility.reading import Catalogues

_SHOWN_WORK = f"{APPLICATION} traffic"
_EXTENSION = (
    "SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n "
    "ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'"
)
_STATEMENTS = """
SELECT r.rolname, s.queryid, max(s.query), max(s.query) IS NULL OR max(s.query) = '<insufficient privilege>'
  FROM {schema}.pg_stat_statements s JOIN pg_catalog.pg_roles r ON r.oid = s.userid
 WHERE r.rolname IN ({roles})
   AND s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
 GROUP BY r.rolname, s.queryid ORDER BY r.rolname, s.queryid
"""


def add_traffic(url: DatabaseURL, catalogues: Catalogues, *, branch_id: str = "") -> Catalogues:
    """Add what production saw of the services' roles to the catalogues. Production is only read.

    Where it cannot be asked, keeps nothing, does not show it to who the URL connects as, or is another branch of Neon than it
    should be, `not_measured` says so.
    """
    try:
        with open_session(url.direct(), application_name=_SHOWN_WORK) as session:
            rows = _rows(session, branch_id)
    except _Unknown as unknown:
        why = str(unknown)
    except ServerError as error:  # it is not loaded, or not ours to read
        why = f"production does not show pg_stat_statements (SQLSTATE {error.sqlstate})"
    except DatabaseFailed as error:
        why = error.what
    else:
        known = [
            Known(role or "", Sent(f"queryid {queryid}", text or "", "pg_stat_statements"), frozenset({TRAFFIC}))
            for role, queryid, text, _ in rows
            if is_planned(text or "")
        ]
        note = f"pg_stat_statements of production has {len(known)} statements of the services"
        return catalogues.with_more(known, (note,), ())
    return catalogues.with_more((), (), (f"compatibility with production's traffic: {why}",))


class _Unknown(Exception):
    """Production does not say what it saw."""


def _rows(session: Session, branch_id: str) -> Sequence[Row]:
    session.run("BEGIN READ ONLY")
    there = session.run("SELECT pg_catalog.current_setting('neon.branch_id', true)")[0].rows[0][0]
    if branch_id and there != branch_id:
        leads = f"the branch {there}" if there else "no server of Neon's"
        raise _Unknown(f"the URL leads to {leads}, and production's branch is {branch_id}")
    found = session.run(_EXTENSION)[0].rows
    if not found:
        raise _Unknown("production has no extension pg_stat_statements")
    roles = ", ".join(literal(role) for role in product.RUNTIME_ROLES)
    rows = session.run(_STATEMENTS.format(schema=found[0][0], roles=roles))[0].rows
    session.run("ROLLBACK")
    if any(is_hidden == "t" for *_, is_hidden in rows):
        raise _Unknown("production hides the services' statements from this URL's role: it needs pg_read_all_stats")
    return rows
