"""What let pending files in, kept beside the history: the receipt of a rehearsal, or why a deploy went without one.

The table comes with the history, and on a database that is older than it with the first row, in the transaction that needs
it. The log row of each file names its row by the digest; stock yoyo knows neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dbclient.quoting import literal
from pipeline.history.beside import made_where_missing, read_where_there
from pipeline.history.tables import REHEARSALS, SCHEMA

if TYPE_CHECKING:
    from pipeline.postgres.session import Session

RECEIPT, FIRST, SKIPPED = "receipt", "first", "skipped"

_TABLE: Final = f"{SCHEMA}.rehearsals"
_NAME_LENGTH: Final = 255

_READ: Final = (
    "SELECT digest, kind, environment, actor, reason, admitted_at AT TIME ZONE 'UTC' "
    f"FROM {_TABLE} ORDER BY admitted_at, digest"
)


@dataclass(frozen=True, slots=True)
class Admission:
    """Why pending files were let in.

    `kind` is RECEIPT, FIRST (an empty database, which needs none) or SKIPPED, with the `reason` that somebody gave. `at` is
    ISO 8601 in UTC, and empty before it is written. `document` is the receipt's file, which is not read back.
    """

    digest: str
    kind: str
    environment: str
    actor: str = ""
    reason: str = ""
    at: str = ""
    document: str = ""

    @property
    def shown(self) -> str:
        """It in a few words, for people."""
        if self.kind == FIRST:
            return "first deploy"
        return f"without rehearsal: {self.reason}" if self.kind == SKIPPED else f"receipt {self.digest[:12]}"


def admission_sql(admission: Admission) -> str:
    """What keeps it, with the table where that is missing; nothing changes where it is kept already."""
    values = (
        admission.digest,
        admission.kind,
        admission.environment,
        admission.actor[:_NAME_LENGTH],
        admission.reason,
        admission.document,
    )
    return (
        f"{made_where_missing(_TABLE, REHEARSALS)}INSERT INTO {_TABLE} (digest, kind, environment, actor, reason, document) "
        f"VALUES ({', '.join(map(literal, values))}) ON CONFLICT (digest) DO NOTHING;"
    )


def read_admissions(session: Session) -> tuple[Admission, ...]:
    """What is kept, oldest first; nothing where there is no such table, or the role may not read it."""
    return tuple(
        Admission(
            digest or "", kind or "", environment or "", actor or "", reason or "", f"{at}+00:00".replace(" ", "T")
        )
        for digest, kind, environment, actor, reason, at in read_where_there(session, _TABLE, _READ)
    )
