"""How far each backfill came: a table beside the history, with a row for each batched file that a deploy registered.

It is made with the first one, so that databases without backfills go without it; stock yoyo does not know it. A file has its
record like any other from its registration on: what is not done yet stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.history.beside import made_where_missing, read_where_there
from pipeline.history.tables import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.migrations import MigrationFile
    from pipeline.postgres.session import Row, Session

TABLE = f"{SCHEMA}.backfills"

REGISTERED, PAUSED, ABORTED, COMPLETE = "registered", "paused", "aborted", "complete"

# `position` is the key of the last row that was gone through, as text, and NULL at the beginning of a pass. `visited` and
# `estimated` are rows of this pass; `changed`, `wal_bytes` and `worked_ms` are of all of them.
CREATE = f"""
CREATE TABLE {TABLE} (
    migration_hash varchar(64) PRIMARY KEY,
    migration_id varchar(255) NOT NULL,
    checksum text NOT NULL,
    state text NOT NULL DEFAULT '{REGISTERED}' CHECK (state IN ('{REGISTERED}', '{PAUSED}', '{ABORTED}', '{COMPLETE}')),
    position text[],
    pass int NOT NULL DEFAULT 1,
    step_rows bigint NOT NULL DEFAULT 100,
    visited bigint NOT NULL DEFAULT 0,
    estimated bigint NOT NULL DEFAULT 0,
    changed bigint NOT NULL DEFAULT 0,
    wal_bytes bigint NOT NULL DEFAULT 0,
    worked_ms bigint NOT NULL DEFAULT 0,
    remaining bigint,
    why text NOT NULL DEFAULT '',
    registered_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
) WITH (fillfactor = 50)
"""

_COLUMNS = (
    "b.migration_id, b.checksum, b.state, b.pass, b.visited, b.estimated, b.changed, b.wal_bytes, b.worked_ms, "
    "coalesce(b.remaining, -1), b.why, b.updated_at"
)
_READ = f"SELECT {_COLUMNS} FROM {TABLE} b JOIN {SCHEMA}._yoyo_migration USING (migration_hash) ORDER BY b.migration_id"


@dataclass(frozen=True, slots=True)
class Backfill:
    """A backfill as the database has it.

    `state` is REGISTERED (it waits or is at work), PAUSED, ABORTED or COMPLETE; `remaining` what was counted at the end of the
    last pass, None before; `why` what it waited for when it was last looked at.
    """

    id: str
    checksum: str = ""
    state: str = REGISTERED
    pass_: int = 1
    visited: int = 0
    estimated: int = 0
    changed: int = 0
    wal_bytes: int = 0
    worked_ms: int = 0
    remaining: int | None = None
    why: str = ""
    updated_at: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether nothing was left when it was last counted."""
        return self.state == COMPLETE

    @property
    def is_open(self) -> bool:
        """Whether something is to be done, by somebody."""
        return self.state in {REGISTERED, PAUSED}

    @property
    def left(self) -> int:
        """How many rows of this pass are still to be gone through, as far as that can be estimated."""
        return 0 if self.is_complete else max(0, self.estimated - self.visited)

    @property
    def percent(self) -> int:
        """How much is done: 100 only when nothing is left."""
        if self.is_complete:
            return 100
        if self.pass_ > 1:
            return 99
        return min(99, 100 * self.visited // self.estimated) if self.estimated else 0

    @property
    def rows_per_second(self) -> float | None:
        """How fast it went while it was at work, its pauses left out; None before the first batch."""
        return 1000 * self.visited / self.worked_ms if self.worked_ms and self.visited else None


def read_backfills(session: Session) -> tuple[Backfill, ...]:
    """Every backfill of a recorded file, in the order of the files; none where there never was one."""
    return tuple(parse_backfill(row) for row in read_where_there(session, TABLE, _READ))


def parse_backfill(row: Row) -> Backfill:
    """A row of the table's columns that `read_backfills` asks for."""
    id_, checksum, state, *numbers, remaining, why, updated = (value or "" for value in row)
    pass_, visited, estimated, changed, wal, worked = map(int, numbers)
    left = None if int(remaining) < 0 else int(remaining)
    return Backfill(id_, checksum, state, pass_, visited, estimated, changed, wal, worked, left, why, updated)


def stand_sql(file: MigrationFile) -> str:
    """The query for one file's row, for `parse_backfill`."""
    return f"SELECT {_COLUMNS} FROM {TABLE} b WHERE migration_hash = {literal(file.hash)}"


def registration_sql(file: MigrationFile, estimated: int) -> str:
    """What makes the table where it is missing, and the row of a file whose backfill begins now, or again after a rollback."""
    values = {
        "migration_hash": file.hash,
        "migration_id": file.id,
        "checksum": file.checksum,
        "estimated": str(estimated),
    }
    return (
        f"{made_where_missing(TABLE, CREATE)}DELETE FROM {TABLE} WHERE migration_hash = {literal(file.hash)};"
        f"INSERT INTO {TABLE} ({', '.join(values)}) VALUES ({', '.join(map(literal, values.values()))});"
    )


def set_state_sql(ids: Iterable[str], state: str, *, among: Iterable[str]) -> str:
    """What puts those backfills into a state that are in one of some others."""
    return (
        f"UPDATE {TABLE} SET state = {literal(state)}, why = '', updated_at = pg_catalog.clock_timestamp() "
        f"WHERE migration_id IN ({', '.join(map(literal, ids))}) AND state IN ({', '.join(map(literal, among))})"
    )


def next_pass_sql(file: MigrationFile, remaining: int, *, pass_: int, estimated: int) -> str:
    """What sets a backfill back to the first key, since so many rows are left behind its position."""
    return (
        f"UPDATE {TABLE} SET position = NULL, pass = {pass_}, visited = 0, worked_ms = 0, estimated = {estimated}, "
        f"remaining = {remaining}, updated_at = pg_catalog.clock_timestamp() WHERE migration_hash = {literal(file.hash)}"
    )


def complete_sql(file: MigrationFile) -> str:
    """What says that nothing is left."""
    return (
        f"UPDATE {TABLE} SET state = '{COMPLETE}', remaining = 0, why = '', updated_at = pg_catalog.clock_timestamp() "
        f"WHERE migration_hash = {literal(file.hash)} AND state <> '{COMPLETE}'"
    )


def refused_sql(file: MigrationFile, why: str) -> str:
    """What keeps why a batch was undone, and lets the next one take half as many rows: it gets nearer to what is locked."""
    return (
        f"UPDATE {TABLE} SET why = {literal(why)}, step_rows = greatest(1, step_rows / 2), "
        f"updated_at = pg_catalog.clock_timestamp() WHERE migration_hash = {literal(file.hash)}"
    )


def why_sql(file: MigrationFile, why: str) -> str:
    """What keeps why a backfill waits, for who looks at it; nothing to write where it is kept already."""
    return (
        f"UPDATE {TABLE} SET why = {literal(why)}, updated_at = pg_catalog.clock_timestamp() "
        f"WHERE migration_hash = {literal(file.hash)} AND why <> {literal(why)}"
    )
