"""Rehearsals as values, for tests of what is shown of them: one that passed, one that found breaks, one that could not look."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

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
    blocked_by,
)

PERSON, PET, VISIT = 'public."Person"', 'public."Pet"', 'public."Visit"'
BEGAN = datetime(2026, 11, 27, 18, 0, 12, tzinfo=UTC)
ROWS = {PERSON: (1_200_000, 361_000_000), PET: (48_000, 9_100_000), VISIT: (9_400_000, 2_900_000_000)}


def lock(table: str, mode: str, held: float, *, is_new: bool = False) -> LockHold:
    return LockHold(table, "table", table, mode, () if is_new else blocked_by(mode), held, is_new)


def sizes(*tables: str) -> tuple[TableSize, ...]:
    return tuple(TableSize(table, ROWS[table][0], table == PET, ROWS[table][1]) for table in tables if table in ROWS)


def statement(line: int, milliseconds: float, *locks: LockHold, wal_bytes: int = 8_192) -> StatementMeasurement:
    return StatementMeasurement(line, milliseconds, wal_bytes, locks, tables=sizes(*{each.table for each in locks}))


def file(id_: str, *statements: StatementMeasurement, commit: float = 1.2, accepted: str = "") -> FileMeasurement:
    """A file with its locks held as long as they would be: to the end of COMMIT."""
    ending = StatementMeasurement(0, 0.4, 512, statements=0)
    left, held = commit + ending.milliseconds, []
    for each in reversed(statements):
        left += each.milliseconds
        held.append(
            each
            if each.observed
            else replace(each, locks=tuple(replace(one, held=round(left, 3)) for one in each.locks))
        )
    return FileMeasurement(
        id_, f"migrations/{id_}.sql", "c" * 64, tuple(reversed(held)), ending, commit, accepted=accepted
    )


def quick() -> FileMeasurement:
    return file(
        "0006_person_note",
        statement(3, 1.9, lock(PERSON, "AccessExclusiveLock", 0)),
        replace(statement(5, 0.6), locks=(lock('public."Note"', "AccessExclusiveLock", 0, is_new=True),)),
    )


def backfill() -> FileMeasurement:
    return file(
        "0007_pet_names",
        replace(
            statement(2, 842.0, lock(PET, "RowExclusiveLock", 0), wal_bytes=9_437_184),
            changed=(RowChanges(PET, 0, 47_210, 0), RowChanges(VISIT, 3, 0, 1)),
            statements=21,
        ),
        statement(40, 96.0, lock(PET, "ShareRowExclusiveLock", 0), lock(PERSON, "ShareRowExclusiveLock", 0)),
        statement(44, 2.0, lock(PET, "AccessExclusiveLock", 0)),
    )


def rewrite(accepted: str = "") -> FileMeasurement:
    return file(
        "0008_visit_number_bigint",
        replace(
            statement(4, 3_120.0, lock(VISIT, "AccessExclusiveLock", 0), wal_bytes=3_000_000_000),
            rewrote=(Rewrite(VISIT, "table", 9_400_000), Rewrite('public."Visit_pkey"', "index", 0)),
        ),
        commit=40.0,
        accepted=accepted,
    )


def concurrent() -> FileMeasurement:
    seen = replace(
        statement(2, 61_000.0, lock(VISIT, "ShareUpdateExclusiveLock", 61_000.0), wal_bytes=210_000_000), observed=True
    )
    return FileMeasurement("0009_visit_day_index", "migrations/0009_visit_day_index.sql", "d" * 64, (seen,))


def drop_concurrently() -> FileMeasurement:
    hold = LockHold('public."Pet_name_idx"', "index", PET, "AccessExclusiveLock", ("reads", "writes"), 38.0)
    seen = replace(statement(2, 310.0), locks=(hold,), observed=True)
    return FileMeasurement("0010_drop_pet_index", "migrations/0010_drop_pet_index.sql", "e" * 64, (seen,))


def rehearsal(*files: FileMeasurement) -> Rehearsal:
    """One that passes where the files are within the budgets."""
    return Rehearsal(
        origin=Origin("prod", "odd-forest-1", "br-main-1", "main", "0/1A2B3C48", BEGAN),
        began=BEGAN,
        ended=BEGAN + timedelta(seconds=96),
        commit="0123456789abcdef" * 2 + "01234567",
        pending=tuple(PendingFile(each.id, each.path, each.checksum) for each in files),
        history="a" * 64,
        schema="b" * 64,
        applied=Applied(
            milliseconds=tuple((each.id, round(each.milliseconds)) for each in files),
            rows=(TableRows(PERSON, 1_200_312, 1_200_312), TableRows('public."Note"', None, 0)),
            schema="f" * 64,
        ),
        measured=Measured(files),
        verdict=judge(files),
        compatibility=Compatibility(
            "9" * 40, (("server", "live", 104), ("server", "head", 106), ("worker", "live", 31))
        ),
    )


def passed() -> Rehearsal:
    return rehearsal(quick(), backfill(), concurrent(), drop_concurrently())


def accepted() -> Rehearsal:
    return rehearsal(quick(), rewrite(accepted="at night, when nobody visits"))


def broken() -> Rehearsal:
    """Five files: the third is over both budgets, the last one stops at rows; a statement breaks, and another is slow."""
    found = rehearsal(quick(), backfill(), rewrite(), concurrent())
    failing = FailingRows(
        "not null",
        PERSON,
        column="note",
        rows=17,
        query='SELECT *\n  FROM public."Person"\n WHERE note IS NULL AND kind = $1',
    )
    failure = Failure(
        "0011_note_required", "migrations/0011_note_required.sql", 6, "23502", "not_null_violation", failing
    )
    pending = PendingFile("0011_note_required", "migrations/0011_note_required.sql", "0" * 64)
    troubles = (
        StatementTrouble(
            Trouble.FAILED_BEFORE, "worker", "worker", "live", "old_report", "refused", "42P01", "undefined_table"
        ),
        StatementTrouble(
            Trouble.FAILS,
            "server",
            "server",
            "live",
            "findVisits",
            "refused",
            "42703",
            "undefined_column",
            file="0008_visit_number_bigint",
        ),
        StatementTrouble(
            Trouble.LOST_INDEX,
            "worker",
            "worker",
            "live",
            "pets_by_name",
            "index",
            table=PET,
            name='public."Pet_name_idx"',
            rows=48_000,
        ),
    )
    assert found.compatibility
    assert found.measured
    return replace(
        found,
        pending=(*found.pending, pending),
        applied=replace(found.applied, failure=failure, schema=None),
        measured=replace(found.measured, failure=failure),
        compatibility=replace(
            found.compatibility, troubles=troubles, notes=("the queries of worker are those of HEAD",)
        ),
        crash=Crash(9, ("0007_pet_names, behind line 40",)),
        not_measured=("the traffic of production: it has no pg_stat_statements.",),
    )


def not_measured() -> Rehearsal:
    found = rehearsal(quick())
    why = "the schema of the measured run is not that of the deploy, so that its numbers say nothing."
    return replace(found, measured=None, verdict=None, compatibility=None, not_measured=(why,))
