"""What a server's refusal means to the person who deploys, and what can be done about it: by them, or by trying again."""

from __future__ import annotations

import random
import re
import time
from typing import TYPE_CHECKING

from pipeline.errors import DatabaseFailed, MigrationFailed, TimedOut
from pipeline.history.record import numbered
from pipeline.migrations.out_of_place import remedy_at_run_time
from pipeline.migrations.sql_text import line_of
from pipeline.postgres.lock import find_holder
from servers.extensions import remedy_of

if TYPE_CHECKING:
    from pipeline.migrations.chunks import Chunk
    from pipeline.migrations.script import Script
    from pipeline.postgres.session import ServerError, Session

_REMEDIES = {
    "25006": "The server is read-only. Deploy to the primary, or when maintenance is over.",
    "42501": "The role of the URL lacks that right. Deploy as the owner of the database.",
    "53100": "The disk is full (on Neon: the plan's storage limit). Make room, then run it again.",
    "53200": "The server is out of memory. On Neon, raise the compute's size for the migration, then run it again.",
    "57014": "The statement took too long. Split the work, or set `-- pipeline: statement-timeout=…` in the file.",
}
_THERE_ALREADY = frozenset({"42P06", "42P07", "42701", "42710", "42723"})  # schema, relation, column, object, function

NOT_AS_BUILT = _THERE_ALREADY | {"3F000", "42703", "42704", "42883", "42P01"}
"""SQLSTATEs of what is there already, or is not there: a file that was proven finds another schema than it was written for."""

_NOT_IN_A_TRANSACTION = "25001"

# lock_not_available, deadlock_detected, serialization_failure: nothing was done, and it may be tried again.
TRY_AGAIN = frozenset({"55P03", "40P01", "40001"})

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0  # seconds
RETRY_FOR = 120.0  # seconds, from the first refusal

# A chunk of a file in a message: the text that it begins with, or the name of the function that it was made.
_NUMBER = re.compile(r"/\*(\d{1,9})\*/")
_NAMED = re.compile(rf'"(?:{_NUMBER.pattern}|statement_(\d{{1,9}})")')


class Retries:
    """The pauses between the tries of one file, from its first refusal on."""

    def __init__(self, retry_for: float = RETRY_FOR) -> None:
        self._pause = _FIRST_PAUSE
        self._give_up = time.monotonic() + retry_for

    def next_pause(self) -> float | None:
        """How many seconds to wait before the next try, or None when it was tried for long enough."""
        pause = self._pause
        if time.monotonic() + pause > self._give_up:
            return None
        self._pause = min(pause * 2, _LONGEST_PAUSE)
        return random.uniform(pause / 2, pause)  # noqa: S311 - jitter, not a secret


def explain(error: ServerError, what: str, outcome: str) -> DatabaseFailed:
    """A failure outside any file."""
    return DatabaseFailed(f"{what}: {error.message}. {outcome}", remedy=_REMEDIES.get(error.sqlstate, ""))


def explain_file(error: ServerError, script: Script) -> MigrationFailed:
    """A failure of a file's own statement, with the line where PostgreSQL gives a position inside the file's text."""
    context = _hint(error)
    return MigrationFailed(
        f"{error.message}{context}",
        where=_where(error, script),
        remedy=remedy_of(error.message) or _REMEDIES.get(error.sqlstate, "") or _remedy(error),
    )


def lock_given_away(session: Session, path: str) -> DatabaseFailed:
    """A statement outside a transaction gave the deploy's lock away, and a rival took it before the file at `path`."""
    return DatabaseFailed(
        f"a file before it gave the deploy's lock away, and {find_holder(session) or 'another deploy'} has it now",
        where=path,
        remedy="Run it again: it waits for that one. An advisory lock of a file's own is for pg_advisory_xact_lock().",
    )


def gave_up(error: ServerError, path: str, waited: float) -> TimedOut:
    """The file at `path` did not get a lock that it needs, tried for so many seconds."""
    return TimedOut(
        f"it did not get a lock that it needs within {waited:.0f} s, tried many times: {error.message}",
        where=path,
        remedy="Nothing of it is applied. Find what holds the lock (pg_stat_activity: long transactions), or deploy at a "
        "quieter time, or set `-- pipeline: lock-timeout=…` in the file.",
    )


def _where(error: ServerError, script: Script) -> str:
    """The file, with the line: of the position that PostgreSQL gives, or else of the statement that its context names."""
    query, position = error.fields.get("internal_query", ""), error.fields.get("internal_position", "")
    number = _NUMBER.match(query)
    chunk = _chunk(script, number[1]) if number is not None else None
    if (
        number is not None
        and chunk is not None
        and position.isdigit()
        and query == numbered(int(number[1]), chunk.text)
    ):
        return f"{script.path}:{line_of(script.text, chunk.start + int(position) - 1 - number.end())}"
    *_, last = (None, *_NAMED.finditer(error.fields.get("context", "")))
    chunk = _chunk(script, last[1] or last[2]) if last is not None else None
    if chunk is not None and len(chunk.statements) == 1:
        return f"{script.path}:{chunk.statements[0].line}"
    if script.concurrent is not None and len(script.statements) == 1:  # sent as it stands in the file
        at = error.fields.get("position", "")
        return f"{script.path}:{script.statements[0].line_at(int(at) - 1 if at.isdigit() else 0)}"
    return script.path


def _chunk(script: Script, number: str) -> Chunk | None:
    return script.chunks[int(number) - 1] if 0 < int(number) <= len(script.chunks) else None


def _hint(error: ServerError) -> str:
    hint = error.fields.get("hint", "")
    return f"\n{hint}" if hint else ""


def _remedy(error: ServerError) -> str:
    if error.sqlstate == _NOT_IN_A_TRANSACTION:
        return remedy_at_run_time(error.fields.get("message", ""))
    if error.sqlstate in _THERE_ALREADY:
        return (
            "Something else made it: somebody by hand, or locally `./inv push`. Where all is there that the file makes, `./inv "
            "baseline --env NAME --through NUMBER` proves that and records the file. Else take away what is there, or correct "
            "the file if no other environment has it applied (docs/a-bad-migration.md)."
        )
    return (
        "If no other environment has it applied, correct the file and run it again. If one has, leave the file as it is, and "
        "put right what it stumbled over (docs/a-bad-migration.md)."
    )
