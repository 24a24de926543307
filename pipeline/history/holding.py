"""Holding what a restore undid: a row of yoyo's log for each, so that the next deploy does not run the same file again.

A row needs no table of its own, so a database from before this knows of it, and stock yoyo, which reads the records alone,
lists the migration as what it is: not applied. The newest row counts. It is over when the file is applied in another text,
or by a row that releases it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.history.tables import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.history.record import Author
    from pipeline.migrations.plan import Applied, Held

HELD, RELEASED = "held", "released"
_LENGTH = 255  # of yoyo's columns


def held_sql(undone: Iterable[Applied], author: Author, kept: str) -> str:
    """Hold migrations as they were applied; `kept` is the name of the branch that has the state with them."""
    rows = []
    for each in undone:
        notes = {"sha256": each.checksum, "lsn": each.lsn, "kept": kept}
        comment = " ".join(f"{key}={value}" for key, value in notes.items() if value)
        rows.append(_row(each.id, HELD, comment[:_LENGTH], author))
    return _insert(rows) if rows else ""


def released_sql(held: Held, author: Author) -> str:
    """Let a held migration run as it is."""
    return _insert([_row(held.id, RELEASED, f"sha256={held.checksum}" if held.checksum else "", author)])


def _insert(rows: list[str]) -> str:
    return (
        f"INSERT INTO {SCHEMA}._yoyo_log "
        "(id, migration_hash, migration_id, operation, username, hostname, comment, created_at_utc) VALUES "
        f"{', '.join(rows)};"
    )


def _row(id_: str, operation: str, comment: str, author: Author) -> str:
    values = (
        sha256(id_.encode()).hexdigest(),
        id_,
        operation,
        author.actor[:_LENGTH],
        author.host[:_LENGTH],
        comment,
    )
    return (
        f"(pg_catalog.gen_random_uuid()::text, {', '.join(map(literal, values))}, "
        "pg_catalog.clock_timestamp() AT TIME ZONE 'UTC')"
    )
