"""What a backfill will take: some batches, spread over the rows, each run and rolled back.

They begin at keys that are drawn at random, so each finds its pages where a long run would find them, and not where the last one
left them. What it costs to commit is not in it, nor what the services' own work takes from the server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dbclient.quoting import literal
from pipeline.backfill.batch import sample_sql
from pipeline.backfill.keys import read_key
from pipeline.backfill.working import estimate

if TYPE_CHECKING:
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.batched import Batched
    from pipeline.postgres.session import Session

BATCHES: Final = 20
_ROWS: Final = 1000  # of a batch
_DRAWN: Final = 50 * BATCHES  # rows among which the first keys of the batches are


@dataclass(frozen=True, slots=True)
class Sample:
    """What the batches of a sample did, and what all of them will.

    `rows` are those of the table, estimated; `visited` those that the sample went through, of which it changed `changed`, in
    `milliseconds` with `wal_bytes` of WAL.
    """

    rows: int
    batches: int
    visited: int
    changed: int
    milliseconds: float
    wal_bytes: int

    @property
    def rows_per_second(self) -> float | None:
        """How fast rows are gone through; None where there were none."""
        return 1000 * self.visited / self.milliseconds if self.visited and self.milliseconds else None

    @property
    def seconds(self) -> float:
        """What all rows take, the pauses left out."""
        return self.rows / self.rows_per_second if self.rows_per_second else 0.0

    @property
    def hours(self) -> float:
        """The same in hours."""
        return self.seconds / 3600

    @property
    def total_wal_bytes(self) -> int:
        """The WAL of all rows."""
        return round(self.wal_bytes * self.rows / self.visited) if self.visited else 0


def sample(session: Session, file: MigrationFile, batched: Batched, *, batches: int = BATCHES) -> Sample:
    """Run so many batches of a backfill over a copy of the data, and leave nothing of them.

    Raises:
        MigrationFileError: the key is none.
        ServerError: the statement fails on a row.
    """
    key = read_key(session, file, batched)
    rows = estimate(session, batched)
    begins = _drawn(session, batched, rows, batches)
    visited = changed = wal = 0
    milliseconds = 0.0
    for begin in begins:
        try:
            results = session.run(sample_sql(batched, key, begin=begin, rows=_ROWS))
        finally:
            if session.in_transaction:
                session.run("ROLLBACK")
        words = (results[-2].rows[0][0] or "").split()
        visited, changed = visited + int(words[0]), changed + int(words[1])
        wal, milliseconds = wal + int(words[2]), milliseconds + float(words[3])
    return Sample(
        max(rows, visited if len(begins) == 1 else 0), len(begins), visited, changed, round(milliseconds, 3), wal
    )


def _drawn(session: Session, batched: Batched, rows: int, batches: int) -> list[str | None]:
    """The keys behind which the batches begin, as SQL; None: at the first row, where there are few rows."""
    if rows <= _ROWS:
        return [None]
    texts = ", ".join(f"{column}::text" for column in batched.columns("b"))
    percent = min(100.0, 100 * _DRAWN / rows)
    found = session.run(
        f"SELECT ARRAY[{texts}]::text FROM {batched.table} AS b TABLESAMPLE BERNOULLI ({percent:.6f}) REPEATABLE (1) "
        f"ORDER BY pg_catalog.random() LIMIT {batches}"
    )[0].rows
    return [literal(row[0] or "") for row in found] or [None]
