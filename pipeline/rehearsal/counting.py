"""Every table's rows, counted on a copy before and after the deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.postgres.connect import open_session
from pipeline.postgres.lock import APPLICATION
from pipeline.rehearsal.looking import OURS, count_now, look_from_aside
from pipeline.rehearsal.result import TableRows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbclient.url import DatabaseURL

# What may not be read, or only in part (row security), has no true count.
_TABLES = f"""
SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND {OURS}
   AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid)
 ORDER BY 1
"""


def count_all(url: DatabaseURL) -> dict[str, int]:
    """The rows of every table and materialized view that the owner may read, by name.

    Raises:
        DatabaseFailed: no connection, or it was lost.
    """
    with open_session(url, application_name=f"{APPLICATION} count") as session:
        look_from_aside(session)
        return {str(name): count_now(session, str(name)) for (name,) in session.run(_TABLES)[0].rows}


def compared(before: Mapping[str, int], after: Mapping[str, int]) -> tuple[TableRows, ...]:
    """Each table's rows before and after, by name."""
    return tuple(TableRows(name, before.get(name), after.get(name)) for name in sorted(before.keys() | after.keys()))
