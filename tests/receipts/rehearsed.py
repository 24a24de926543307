"""A rehearsal with something in every field, made up: nothing runs."""

from __future__ import annotations

from datetime import UTC, datetime

from pipeline.rehearsal.budgets import judge
from pipeline.rehearsal.result import (
    Applied,
    Compatibility,
    Crash,
    Origin,
    PendingFile,
    Rehearsal,
    StatementTrouble,
    TableRows,
    Trouble,
)
from pipeline.rehearsal.values import (
    FailingRows,
    Failure,
    FileMeasurement,
    LockHold,
    Measured,
    Rewrite,
    RowChanges,
    StatementMeasurement,
    TableSize,
)

NOW = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)
_LOCK = LockHold('public."User"', "table", 'public."User"', "AccessExclusiveLock", ("reads", "writes"), 2500.5)
_STATEMENT = StatementMeasurement(
    line=3,
    milliseconds=12.25,
    wal_bytes=1024,
    locks=(_LOCK,),
    rewrote=(Rewrite('public."User"', "table", 10),),
    changed=(RowChanges('public."User"', 1, 2, 3), RowChanges("public.log", 0, 0, 4)),
    tables=(TableSize('public."User"', 10, exact=True, bytes=8192),),
)
_FILE = FileMeasurement(
    "0002_more", "migrations/0002_more.sql", "b" * 64, (_STATEMENT,), _STATEMENT, 1.5, "quiet hours", "e" * 64
)
_FAILURE = Failure(
    "0003_last",
    "migrations/0003_last.sql",
    7,
    "23502",
    "not_null_violation",
    FailingRows("not null", 'public."User"', "name", "", 4, 'SELECT * FROM public."User" AS t WHERE name IS NULL'),
)


def rehearsal(**changed: object) -> Rehearsal:
    """A rehearsal that passed, of two files, but for what is given."""
    files = (
        PendingFile("0002_more", "migrations/0002_more.sql", "b" * 64),
        PendingFile("0003_last", "migrations/0003_last.sql", "c" * 64),
    )
    measured = Measured((_FILE,))
    fields: dict[str, object] = {
        "origin": Origin("prod", "quiet-sea-1", "br-1", "main", "0/1A2B3C", NOW),
        "began": NOW,
        "ended": NOW,
        "commit": "d" * 40,
        "pending": files,
        "history": "1" * 64,
        "schema": "2" * 64,
        "applied": Applied((("0002_more", 12), ("0003_last", None)), (TableRows("public.log", None, 4),), "3" * 64),
        "measured": measured,
        "verdict": judge(measured.files),
        "compatibility": Compatibility(
            "f" * 40,
            (("server", "live", 12),),
            (StatementTrouble(Trouble.LOST_INDEX, "server", "server", "live", "find_user", table="t", rows=20_000),),
            ("a note",),
        ),
        "crash": Crash(5),
    }
    return Rehearsal(**(fields | changed))  # type: ignore[arg-type] # what a test gives


def failed() -> Rehearsal:
    """One that stopped at rows, in both runs."""
    return rehearsal(applied=Applied((("0002_more", 12),), (), None, _FAILURE), measured=Measured((_FILE,), _FAILURE))
