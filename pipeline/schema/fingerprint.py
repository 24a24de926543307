"""A schema's fingerprint: one hash over everything that a rollback could leave behind, quick enough to take at each step.

It tells that two states differ, and not in what: for that, the objects are read in full once they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from pipeline.history.tables import SCHEMA
from pipeline.kinds import IN_ROLLBACKS, union

if TYPE_CHECKING:
    import psycopg

_PREPARE = """
PREPARE fingerprint AS {everything}
SELECT md5(string_agg(ROW(kind, name, definition)::text, ' ' ORDER BY kind COLLATE "C", name COLLATE "C", definition COLLATE "C"))
FROM everything
"""
# Every name in full, whatever the search_path of the file before it; and planned as FOR_DETAILS says.
_TAKE = """
RESET ALL;
SELECT set_config('search_path', '', true), set_config('enable_nestloop', 'off', true);
EXECUTE fingerprint
"""


class Fingerprints:
    """Takes fingerprints over one connection. The query is prepared: to plan it takes longer than to run it."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        everything = union(IN_ROLLBACKS, ignored_schemas=[SCHEMA], for_rollback=True)
        connection.execute(sql.SQL(_PREPARE).format(everything=everything))

    def take(self) -> str:
        """Hash the schema as the connection sees it now."""
        answers = self._connection.execute(_TAKE)
        while answers.nextset():
            pass
        row = answers.fetchone()
        return str(row[0]) if row else ""
