"""How a backfill stands, in words and as a document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.console.document_types import BackfillState
from pipeline.console.text import duration_text

if TYPE_CHECKING:
    from pipeline.backfill.working import Stand
    from pipeline.history.backfills import Backfill


def stand_text(stand: Stand) -> str:
    """What a run says of the one that it works on: how far, how fast, when it will be over, and why it waits."""
    parts = [backfill_text(stand.backfill, why=stand.why)]
    if not stand.backfill.is_complete:
        if stand.rows_per_second is not None:
            parts.append(f"{stand.rows_per_second:,.0f} rows/s")
        if stand.seconds is not None:
            parts.append(f"about {duration_text(round(1000 * stand.seconds))} to go")
    return ", ".join(parts)


def backfill_text(each: Backfill, *, why: str = "") -> str:
    """What the database has of one."""
    head = f"{each.id}: {each.percent} %"
    if each.is_complete:
        return f"{head}, {each.changed:,} rows changed, none left"
    parts = [head, f"{each.visited:,} of about {max(each.visited, each.estimated):,} rows gone through"]
    if each.pass_ > 1:
        parts.append(f"pass {each.pass_}, since {each.remaining or 0:,} were left")
    parts.append(f"{each.changed:,} changed")
    if waits := why or each.why:
        parts.append(f"waiting: {waits}")
    return ", ".join(parts)


def backfill_state(each: Backfill) -> BackfillState:
    """One of them in a document."""
    speed = each.rows_per_second
    return BackfillState(
        id=each.id,
        state=each.state,
        percent=each.percent,
        passes=each.pass_,
        visited=each.visited,
        left=each.left,
        changed=each.changed,
        remaining=each.remaining,
        rows_per_second=None if speed is None else round(speed),
        seconds_left=None if not speed else round(each.left / speed),
        wal_bytes=each.wal_bytes,
        waits_for=each.why or None,
        updated_at=each.updated_at,
    )
