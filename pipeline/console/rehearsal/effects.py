"""What a statement did, a sentence for each effect: who waits, what is written anew, which rows it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.console.rehearsal import both, counted_rows, size, span
from pipeline.console.rehearsal.waiting import waits_of

if TYPE_CHECKING:
    from pipeline.rehearsal.sampling import Sample
    from pipeline.rehearsal.values import RowChanges, StatementMeasurement, TableSize


def effects_of(statement: StatementMeasurement) -> list[str]:
    """All of them, the waiting first; empty for one that nobody notices."""
    together = [f"{statement.statements} statements, measured as one"] if statement.statements > 1 else []
    return [*together, *_wait_texts(statement), *_rewrite_texts(statement), *_change_texts(statement)]


def backfill_text(sample: Sample) -> str:
    """What all batches of a backfill will take, by those of the sample."""
    if sample.rows_per_second is None:
        return "all batches: nothing, there are no rows"
    return (
        f"all batches: about {span(1000 * sample.seconds)} at {sample.rows_per_second:,.0f} rows a second without its pauses, "
        f"and {size(sample.total_wal_bytes)} of WAL (by {sample.batches} of them, over about {counted_rows(sample.rows)})"
    )


def _wait_texts(statement: StatementMeasurement) -> list[str]:
    """Who waits for which table, for how long, by which lock, and how large the table is."""
    sizes = {each.table: each for each in statement.tables}
    return [
        f"{both(wait.blocks)} of {wait.table} wait for {span(wait.held)} "
        f"({'; '.join(filter(None, (wait.mode, _size_text(sizes.get(wait.table)))))})"
        for wait in waits_of(statement)
    ]


def _rewrite_texts(statement: StatementMeasurement) -> list[str]:
    """What is written anew; what these migrations made themselves is nobody's concern."""
    return [
        f"{each.kind} {each.relation} is written anew{f' ({counted_rows(each.rows)})' if each.rows else ''}"
        for each in statement.rewrote
        if not each.is_new
    ]


def _change_texts(statement: StatementMeasurement) -> list[str]:
    """How many rows of each table it inserted, updated and deleted."""
    return [f"{each.table}: {_changed(each)}" for each in statement.changed]


def _size_text(table: TableSize | None) -> str:
    """How large a table is; an estimate says that it is one."""
    if table is None:
        return ""
    about = "" if table.exact else "about "
    return f"{about}{counted_rows(table.rows)}, {size(table.bytes)}"


def _changed(changes: RowChanges) -> str:
    told = {"inserted": changes.inserted, "updated": changes.updated, "deleted": changes.deleted}
    return ", ".join(f"{counted_rows(number)} {what}" for what, number in told.items() if number)
