"""What a rehearsal measures, as values: names and numbers only. Times are milliseconds, sizes bytes.

Relations are named with their schema and quoted where SQL needs it, as in public."User".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.rehearsal.sampling import Sample

READS, WRITES = "reads", "writes"

# What of the services' work waits for whom: PostgreSQL's documentation, "Explicit Locking", the table of conflicts. They
# read with ACCESS SHARE and ROW SHARE, and write with ROW EXCLUSIVE. EXCLUSIVE keeps SELECT … FOR UPDATE waiting too, which
# is how a service begins to write.
_BLOCKS: dict[str, tuple[str, ...]] = {
    "ShareLock": (WRITES,),
    "ShareRowExclusiveLock": (WRITES,),
    "ExclusiveLock": (WRITES,),
    "AccessExclusiveLock": (READS, WRITES),
}


def blocked_by(mode: str) -> tuple[str, ...]:
    """What a lock of this mode, as pg_locks names it, keeps waiting: "reads", "writes", both or nothing."""
    return _BLOCKS.get(mode, ())


@dataclass(frozen=True, slots=True)
class LockHold:
    """A lock that a statement took and that nothing before it in its file had taken.

    `kind` is what the relation is ("table", "index", "sequence", "view" …) and `table` who waits: the relation, or the
    table of an index. `blocks` is empty for a relation that these migrations made themselves (`is_new`): nobody uses it
    yet. `held` are the milliseconds from the begin of the statement to the end of the file's COMMIT.
    """

    relation: str
    kind: str
    table: str
    mode: str
    blocks: tuple[str, ...]
    held: float
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A relation that has another file than before. `rows` are those of a table or a materialized view after it, else 0."""

    relation: str
    kind: str
    rows: int
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class RowChanges:
    """How many rows of a table a statement inserted, updated and deleted, those of its triggers and cascades included."""

    table: str
    inserted: int
    updated: int
    deleted: int


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table as the file found it: its bytes with indexes and TOAST, and its rows, counted or (not `exact`) estimated.

    The estimate is the planner's: the density that the last ANALYZE saw, times the size of now.
    """

    table: str
    rows: int
    exact: bool
    bytes: int


@dataclass(frozen=True, slots=True)
class StatementMeasurement:
    """What one statement did, or so many of them as `statements` says.

    Several are one where a file's text cannot be cut between them for certain, and where more than 20 INSERTs, UPDATEs or
    DELETEs follow each other. `line` is where the first begins in its file. `milliseconds` and `wal_bytes` are the server's
    own, without the way to it and without our look. `tables` are those that were there before and that it locked first,
    rewrote or changed.

    Outside a transaction (`observed`) another session looked, every 20 ms: a lock that was held for less may be missing, and
    `held` is at most 40 ms too long.
    """

    line: int
    milliseconds: float
    wal_bytes: int
    locks: tuple[LockHold, ...] = ()
    rewrote: tuple[Rewrite, ...] = ()
    changed: tuple[RowChanges, ...] = ()
    tables: tuple[TableSize, ...] = ()
    statements: int = 1
    observed: bool = False


@dataclass(frozen=True, slots=True)
class FileMeasurement:
    """What one file did. `statements` are in order.

    `ending` is what the server does behind the last one: deferred triggers, and the record of the file; None for a file
    outside a transaction. `commit` is what COMMIT took, the way to the server included. `accepted` is the reason that the
    file gives for its locks, or empty. `schema` is the digest of the schema behind it, where that was taken; `backfill` what a
    sample of a batched file's batches did.
    """

    id: str
    path: str
    checksum: str
    statements: tuple[StatementMeasurement, ...]
    ending: StatementMeasurement | None = None
    commit: float = 0.0
    accepted: str = ""
    schema: str = ""
    backfill: Sample | None = None

    @property
    def parts(self) -> tuple[StatementMeasurement, ...]:
        """The statements, and the ending."""
        return self.statements if self.ending is None else (*self.statements, self.ending)

    @property
    def milliseconds(self) -> float:
        """What all of it took."""
        return round(sum(part.milliseconds for part in self.parts) + self.commit, 3)

    @property
    def wal_bytes(self) -> int:
        """The WAL of its statements and of its record."""
        return sum(part.wal_bytes for part in self.parts)


@dataclass(frozen=True, slots=True)
class FailingRows:
    """The rows that stop a statement.

    `rule` is what they break: "not null", "unique", "foreign key", "check" or "type"; `constraint` its name, or empty. `rows`
    is how many they are, None where they could not be counted. `query` finds them, with $1, $2 … in place of the literals of
    the file; it is empty where no query can. `after`: only behind the statement, which has to run without the rule first.
    """

    rule: str
    table: str
    column: str = ""
    constraint: str = ""
    rows: int | None = None
    query: str = ""
    after: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """The statement that stopped the files: nothing of its file is applied, and none behind it was begun.

    `condition` is PostgreSQL's name for the SQLSTATE, as "not_null_violation". The server's message is left out: it has values
    in it. `line` is None where it is no statement's, but the file's end (a deferred constraint).
    """

    id: str
    path: str
    line: int | None
    sqlstate: str
    condition: str
    failing: FailingRows | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What the pending files did, in order, to the end or to the one that failed."""

    files: tuple[FileMeasurement, ...]
    failure: Failure | None = None
