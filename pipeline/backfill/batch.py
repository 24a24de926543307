"""One batch: rows in the order of the key, and the position behind them, in one transaction that the server runs by itself.

A batch is made of steps of some milliseconds. After each the server looks whether anybody waits for what the batch has locked,
and commits at once where somebody does: so a writer waits for a step and not for a batch. How many rows a step takes is kept
with the position, and follows what the last ones took.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.backfill.keys import between, through
from pipeline.history.backfills import REGISTERED, TABLE, stand_sql
from pipeline.history.record import dollar_quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.backfill.keys import Key
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.batched import Batched
    from pipeline.postgres.session import Result

STEP = 15  # milliseconds: what somebody may have to wait for at most, with the commit behind it
_MOST_ROWS = 50_000  # of a step
LOCK_TIMEOUT = 20  # milliseconds: while a batch waits for a row, others wait for those that it has
_ANSWER = "pipeline.batch"

# What is asked of the planner: rows in the order of the key, so that two who lock several take them in one order. The commit does
# not wait for the disk: a crash takes the rows and the position together.
_LOCAL = "".join(
    f"SET LOCAL {name} = {value};"
    for name, value in {
        "synchronous_commit": "off",
        "lock_timeout": f"'{LOCK_TIMEOUT}ms'",
        "enable_seqscan": "off",
        "enable_bitmapscan": "off",
        "max_parallel_workers_per_gather": "0",
        "jit": "off",
    }.items()
)

_BLOCK = f"""
DECLARE
    began timestamptz := pg_catalog.clock_timestamp();
    lsn pg_catalog.pg_lsn := pg_catalog.pg_current_wal_insert_lsn();
    job {TABLE}%ROWTYPE;
    step_began timestamptz;
    took numeric;
    bound text[];
    size bigint;
    step_size bigint;
    step_changed bigint;
    all_visited bigint := 0;
    all_changed bigint := 0;
    at_end boolean := false;
    blocks boolean := false;
BEGIN
    SELECT * INTO job FROM {TABLE} WHERE migration_hash = {{hash}} FOR NO KEY UPDATE;
    IF NOT FOUND OR job.state <> '{REGISTERED}' THEN
        PERFORM pg_catalog.set_config('{_ANSWER}', 'over', true);
        RETURN;
    END IF;
    size := job.step_rows;
    LOOP
        step_began := pg_catalog.clock_timestamp();
        step_size := size;
        IF job.position IS NULL THEN
            EXECUTE {{first_bound}} INTO bound USING job.position, size;
        ELSE
            EXECUTE {{bound}} INTO bound USING job.position, size;
        END IF;
        IF bound IS NULL THEN
            at_end := true;
            IF job.position IS NULL THEN
                EXECUTE {{first_end}} INTO bound, step_size USING job.position, size;
            ELSE
                EXECUTE {{end}} INTO bound, step_size USING job.position, size;
            END IF;
        END IF;
        EXIT WHEN bound IS NULL;
        IF job.position IS NULL THEN
            EXECUTE {{first_statement}} USING job.position, bound;
        ELSE
            EXECUTE {{statement}} USING job.position, bound;
        END IF;
        GET DIAGNOSTICS step_changed = ROW_COUNT;
        all_visited := all_visited + step_size;
        all_changed := all_changed + step_changed;
        job.position := bound;
        EXIT WHEN at_end;
        took := greatest(0.1, 1000 * EXTRACT(epoch FROM pg_catalog.clock_timestamp() - step_began));
        size := greatest(1, least({_MOST_ROWS}, size * least(2, {STEP} / took)))::bigint;
        EXIT WHEN pg_catalog.clock_timestamp() >= began + {{target}}
            OR pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), lsn) >= {{wal_bytes}};
        SELECT true INTO blocks FROM pg_catalog.pg_locks l
         WHERE NOT l.granted AND l.pid <> pg_catalog.pg_backend_pid()
           AND pg_catalog.pg_backend_pid() = ANY (pg_catalog.pg_blocking_pids(l.pid)) LIMIT 1;
        EXIT WHEN blocks;
    END LOOP;
    UPDATE {TABLE} b
       SET position = job.position, step_rows = size, visited = b.visited + all_visited, changed = b.changed + all_changed,
           wal_bytes = b.wal_bytes + pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), lsn)::bigint,
           worked_ms = b.worked_ms + (1000 * EXTRACT(epoch FROM pg_catalog.clock_timestamp() - began))::bigint,
           why = '', updated_at = pg_catalog.clock_timestamp()
     WHERE b.migration_hash = {{hash}};
    PERFORM pg_catalog.set_config('{_ANSWER}', pg_catalog.concat_ws(' ', CASE WHEN at_end THEN 'end' ELSE 'more' END,
        coalesce(blocks, false), all_visited, all_changed,
        pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), lsn)::bigint,
        (1000 * EXTRACT(epoch FROM pg_catalog.clock_timestamp() - began))::bigint), true);
END
"""

_SAMPLE = f"""
DECLARE
    position text[] := {{begin}};
    bound text[];
    visited bigint := {{rows}};
    changed bigint := 0;
    began timestamptz := pg_catalog.clock_timestamp();
    lsn pg_catalog.pg_lsn := pg_catalog.pg_current_wal_insert_lsn();
BEGIN
    EXECUTE {{bound}} INTO bound USING position, visited;
    IF bound IS NULL THEN
        EXECUTE {{end}} INTO bound, visited USING position, visited;
    END IF;
    IF bound IS NOT NULL THEN
        EXECUTE {{statement}} USING position, bound;
        GET DIAGNOSTICS changed = ROW_COUNT;
    END IF;
    PERFORM pg_catalog.set_config('{_ANSWER}', pg_catalog.concat_ws(' ', coalesce(visited, 0), changed,
        pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), lsn)::bigint,
        1000 * EXTRACT(epoch FROM pg_catalog.clock_timestamp() - began)), true);
END
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch did. `is_over`: somebody paused or aborted the backfill, or its row is gone, and nothing was done.

    `at_end`: the last key was reached; `blocked`: it ended early, since somebody waited for it. `wal_bytes` are those of the
    whole server meanwhile.
    """

    is_over: bool
    at_end: bool = False
    blocked: bool = False
    visited: int = 0
    changed: int = 0
    wal_bytes: int = 0
    milliseconds: int = 0


def batch_sql(file: MigrationFile, batched: Batched, key: Key, *, target: float, wal_bytes: int) -> str:
    """The query of one batch of about `target` milliseconds, and of so many bytes of WAL: a transaction.

    What it did is in the results before its COMMIT, for `parse_batch`.
    """
    filled = _BLOCK.format(
        hash=literal(file.hash),
        first_bound=dollar_quoted(_bound_sql(batched, key, first=True)),
        bound=dollar_quoted(_bound_sql(batched, key, first=False)),
        first_end=dollar_quoted(_end_sql(batched, key, first=True)),
        end=dollar_quoted(_end_sql(batched, key, first=False)),
        first_statement=dollar_quoted(batched.statement(through(batched, key))),
        statement=dollar_quoted(batched.statement(between(batched, key))),
        target=f"interval '{round(target)} milliseconds'",
        wal_bytes=str(wal_bytes),
    )
    answer = f"SELECT pg_catalog.current_setting('{_ANSWER}');{stand_sql(file)};"
    return f"BEGIN;{_LOCAL}DO {dollar_quoted(filled)};{answer}COMMIT;"


def sample_sql(batched: Batched, key: Key, *, begin: str | None, rows: int) -> str:
    """The query of a batch of so many rows behind a key (an SQL literal; None: from the first one), to be rolled back.

    The last result but one, in front of the ROLLBACK's, has rows gone through, rows changed, bytes of WAL, and milliseconds.
    """
    first = begin is None
    filled = _SAMPLE.format(
        begin="NULL" if begin is None else begin,
        rows=rows,
        bound=dollar_quoted(_bound_sql(batched, key, first=first)),
        end=dollar_quoted(_end_sql(batched, key, first=first)),
        statement=dollar_quoted(batched.statement(through(batched, key) if first else between(batched, key))),
    )
    return f"BEGIN;{_LOCAL}DO {dollar_quoted(filled)};SELECT pg_catalog.current_setting('{_ANSWER}');ROLLBACK;"


def parse_batch(results: Sequence[Result]) -> Batch:
    """The Batch of a batch's results, through its COMMIT."""
    word, *rest = (results[-3].rows[0][0] or "").split()
    if word == "over":
        return Batch(is_over=True)
    blocked, visited, changed, wal, milliseconds = rest
    return Batch(False, word == "end", blocked == "t", int(visited), int(changed), int(float(wal)), int(milliseconds))


def _bound_sql(batched: Batched, key: Key, *, first: bool) -> str:
    """The key of the row that is so many rows on, if there are as many."""
    return (
        f"SELECT {_texts(batched)} FROM {batched.table} AS b {_behind(batched, key, first=first)} "
        f"ORDER BY {_columns(batched)} OFFSET $2 - 1 LIMIT 1"
    )


def _end_sql(batched: Batched, key: Key, *, first: bool) -> str:
    """The last key of all, and how many rows there are to it, where there are fewer than a step takes."""
    return (
        f"SELECT k, n FROM (SELECT {_texts(batched)} AS k, pg_catalog.row_number() OVER (ORDER BY {_columns(batched)}) AS n "
        f"FROM {batched.table} AS b {_behind(batched, key, first=first)} ORDER BY {_columns(batched)} LIMIT $2) AS last "
        "ORDER BY n DESC LIMIT 1"
    )


def _behind(batched: Batched, key: Key, *, first: bool) -> str:
    columns = batched.columns("b")
    row = columns[0] if len(columns) == 1 else f"({', '.join(columns)})"
    return "WHERE $1::text[] IS NULL" if first else f"WHERE {row} > {key.of('$1')}"


def _columns(batched: Batched) -> str:
    return ", ".join(batched.columns("b"))


def _texts(batched: Batched) -> str:
    return f"ARRAY[{', '.join(f'{column}::text' for column in batched.columns('b'))}]"
