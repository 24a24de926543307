"""Tables that came later than the history: made with their first row, and read where they are and may be.

Databases that do not need one go without it. The role that looks, where there is one, may read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.postgres.session import Row, Session

READER: Final = "migration_reader"


def made_where_missing(table: str, create: str) -> str:
    """The statement that makes a table with `create`, unless it is there."""
    return f"""
DO $make$
BEGIN
    IF pg_catalog.to_regclass('{table}') IS NULL THEN
        {create.strip().rstrip(";")};
        IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{READER}') THEN
            GRANT SELECT ON {table} TO {READER};
        END IF;
    END IF;
END
$make$;
"""


def read_where_there(session: Session, table: str, query: str) -> Sequence[Row]:
    """The rows of a query on a table; none where there is no such table, or the role may not read it."""
    readable = f"pg_catalog.has_table_privilege(pg_catalog.to_regclass('{table}')::pg_catalog.oid, 'SELECT')"
    if session.run(f"SELECT coalesce({readable}, false)")[0].rows[0][0] != "t":
        return ()
    return session.run(query)[0].rows
