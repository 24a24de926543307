"""The log of a history: everything that was done to it, and not only what is applied now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.history import instant, milliseconds, parse_comment
from pipeline.history.tables import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pipeline.history import Row

# Without what was only begun: its end has a row of its own, and `status` names one that has none. Stock yoyo writes these
# rows too, with fewer words. A row without an instant is older than any that we wrote.
READ_LOG = f"""
SELECT migration_id, operation, created_at_utc, username, hostname, comment
  FROM {SCHEMA}._yoyo_log WHERE operation IS DISTINCT FROM 'started' ORDER BY created_at_utc NULLS FIRST, migration_id, id
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done to one migration. What nobody recorded is None, or empty.

    `operation` is "apply", "rollback", "mark" (recorded without being run), stock yoyo's "unmark", "held"
    (undone by a restore) or "released". `milliseconds` is what
    the file's transaction took, or its statement.
    """

    id: str
    operation: str
    at: datetime | None  # in UTC
    actor: str
    host: str
    commit: str
    milliseconds: int | None
    lsn: str  # the WAL position before it
    rehearsal: str = ""  # the digest of what let it in
    kept: str = ""  # of what is held: the branch that has the state with it

    def is_slow(self, limit: float) -> bool:
        """Whether it took `limit` seconds or more."""
        return self.milliseconds is not None and self.milliseconds >= 1000 * limit


def parse_log(rows: Sequence[Row]) -> tuple[Entry, ...]:
    """The rows of READ_LOG as entries, oldest first."""
    return tuple(_entry(*row) for row in rows)


def _entry(
    id_: str | None, operation: str | None, at: str | None, actor: str | None, host: str | None, comment: str | None
) -> Entry:
    notes = parse_comment(comment or "")
    return Entry(
        id_ or "",
        operation or "",
        instant(at),
        actor or "",
        host or "",
        notes.get("commit", ""),
        milliseconds(notes),
        notes.get("lsn", ""),
        notes.get("rehearsal", ""),
        notes.get("kept", ""),
    )
