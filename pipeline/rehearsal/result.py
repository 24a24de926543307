"""What a rehearsal found, as one value: the console, the receipt, the report and --json are made of it.

Names and numbers only. Times are milliseconds where nothing else is said, instants are in UTC, and relations are named with
their schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.rehearsal.budgets import Verdict
    from pipeline.rehearsal.values import Failure, Measured


class Result(Enum):
    """The three ways in which a rehearsal ends. What could not be measured is never a pass."""

    PASSED = "passed"
    BROKEN = "break"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Origin:
    """What was copied: a branch of an environment at a WAL position, which is where a restore would go back to."""

    environment: str
    project_id: str
    branch_id: str
    branch_name: str
    lsn: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A migration that the rehearsal ran."""

    id: str
    path: str
    checksum: str


@dataclass(frozen=True, slots=True)
class TableRows:
    """A table's rows before and after all files, counted; None where it was not there."""

    table: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Applied:
    """The deploy itself on a copy (run A): each file's milliseconds by its id, what stopped it, and every table's rows.

    `schema` is the digest of the schema that results, None where the deploy did not come to its end.
    """

    milliseconds: tuple[tuple[str, int | None], ...]
    rows: tuple[TableRows, ...]
    schema: str | None
    failure: Failure | None = None


class Trouble(Enum):
    """What a migration does to a statement of a service."""

    FAILS = "fails"  # the server took it before, and refuses it now: a break
    CHANGED = "changed"  # the server takes it, and it means another thing now: a break
    FAILED_BEFORE = "failed before"  # refused before and after: not this change's doing, and not counted
    LOST_INDEX = "lost index"  # a large table is read from end to end now: a finding, and on a very large one a break


# Rows of a table that a statement reads from end to end since it lost its index.
FINDING_ROWS, BREAK_ROWS = 10_000, 100_000


@dataclass(frozen=True, slots=True)
class StatementTrouble:
    """A statement of a service that a migration breaks or slows down.

    `release` is "live", "head" or "traffic" (pg_stat_statements), `statement` its name in the catalogue. `reason` says in a
    word or two what it is: "refused" (it cannot be planned), "null" (a column that may not be NULL gets NULL), "unique" (a
    rule that was not there), "value gone" (of an enum, or of a CHECK), "narrower" (a type takes less), "parameters" and
    "results" (they are of other types or names), "default" (a column gets NULL instead), "index". `sqlstate` is what a server
    says, or would say, and `condition` PostgreSQL's name for it (never the message). `table` is the one that it is about, with
    `rows` where it lost its index, and `name` the column, index, type or constraint. `file` is the pending file that did it,
    where that is known.
    """

    trouble: Trouble
    service: str
    role: str
    release: str
    statement: str
    reason: str = ""
    sqlstate: str = ""
    condition: str = ""
    table: str = ""
    name: str = ""
    rows: int | None = None
    file: str = ""

    @property
    def is_break(self) -> bool:
        """Whether a deploy would break the service."""
        if self.trouble is Trouble.LOST_INDEX:
            return (self.rows or 0) > BREAK_ROWS
        return self.trouble in {Trouble.FAILS, Trouble.CHANGED}


@dataclass(frozen=True, slots=True)
class Compatibility:
    """Whether the services' statements still do what they did. `live_commit` is the one that production's history names, or None.

    `statements` counts those that were planned, by service and release. `notes` say in sentences what was taken for what (a
    product without catalogues, a live release without them), and `not_measured` what was asked for and is not known.
    """

    live_commit: str | None
    statements: tuple[tuple[str, str, int], ...]
    troubles: tuple[StatementTrouble, ...] = ()
    notes: tuple[str, ...] = ()
    not_measured: tuple[str, ...] = ()

    @property
    def breaks(self) -> tuple[StatementTrouble, ...]:
        """Those that would break a service."""
        return tuple(each for each in self.troubles if each.is_break)


@dataclass(frozen=True, slots=True)
class Crash:
    """The deploy killed at each of `points` statement boundaries and run again; `diverged` are those that ended otherwise."""

    points: int
    diverged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Everything that a rehearsal found.

    `history` is the digest of the applied migrations, `schema` of the schema before them, `postgres` the copies' version.
    `measured`, `verdict`, `compatibility` and `crash` are None where they were not asked for or could not be had;
    `not_measured` says in sentences what of what was asked for, and why.
    """

    origin: Origin
    began: datetime
    ended: datetime
    commit: str
    pending: tuple[PendingFile, ...]
    history: str
    schema: str
    applied: Applied
    measured: Measured | None = None
    verdict: Verdict | None = None
    compatibility: Compatibility | None = None
    crash: Crash | None = None
    not_measured: tuple[str, ...] = ()
    postgres: str = ""

    @property
    def is_broken(self) -> bool:
        """Whether something is proven to be wrong."""
        return bool(
            self.applied.failure
            or (self.measured and self.measured.failure)
            or (self.verdict and self.verdict.breaks)
            or (self.compatibility and self.compatibility.breaks)
            or (self.crash and self.crash.diverged)
        )

    @property
    def result(self) -> Result:
        """A proven break first, then what could not be measured."""
        if self.is_broken:
            return Result.BROKEN
        return Result.NOT_MEASURED if self.not_measured else Result.PASSED
