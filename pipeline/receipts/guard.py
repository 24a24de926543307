"""What goes out in front of the first pending file, in its transaction: whether the database is still as it was rehearsed.

The client compares what it has read. This is compared by the server, in the query that applies: what stock yoyo or somebody
with psql did after that read is seen, and nobody waits for an answer more. What is kept of the receipt is kept with the
file, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.errors import Refused
from pipeline.history.record import NOT_AS_REHEARSED
from pipeline.history.rehearsals import admission_sql

if TYPE_CHECKING:
    from pipeline.history.rehearsals import Admission
    from pipeline.postgres.session import ServerError


@dataclass(frozen=True, slots=True)
class Guard:
    """SQL that stands before the BEGIN of the first file, where it is part of its transaction."""

    sql: str
    rehearse: str = ""

    def refusal(self, error: ServerError) -> Refused:
        """What an error with NOT_AS_REHEARSED means to the person who deploys."""
        differs = error.fields.get("message", "")
        found = "somebody recorded or took away a migration" if differs == "history" else "somebody changed it by hand"
        look = (
            ""
            if differs == "history"
            else " `./inv diff --env …` shows what no migration made: put it right, or keep it."
        )
        return Refused(
            f"the {differs} of the database is not the one that was rehearsed: {found} since",
            remedy=f"Nothing was changed.{look} Then rehearse again: {self.rehearse}",
        )


def guard_sql(admission: Admission, *, history: str, schema: str = "") -> str:
    """Refuse unless the database has these digests, and keep the admission. Without a `schema` that is not compared."""
    from pipeline.receipts.digests import HISTORY_DIGEST, SCHEMA_DIGEST, take  # with all of psycopg

    expected = {HISTORY_DIGEST: history, **({SCHEMA_DIGEST: schema} if schema else {})}
    words = {HISTORY_DIGEST: "history", SCHEMA_DIGEST: "schema"}
    checks = "".join(
        f"IF pg_catalog.current_setting('{setting}') <> {literal(digest)} THEN "
        f"RAISE EXCEPTION '{words[setting]}' USING ERRCODE = '{NOT_AS_REHEARSED}'; END IF; "
        for setting, digest in expected.items()
    )
    return f"{take()}DO $guard$ BEGIN {checks}END $guard$;{admission_sql(admission)}"
