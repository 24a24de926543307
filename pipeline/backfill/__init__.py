"""Backfills: batched files at work, on a session that somebody has opened. What is left of one is counted, and never guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import InvalidPlan, MigrationFailed
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.batched import Batched
    from pipeline.postgres.session import Session

_FOR_LONG = "SET LOCAL statement_timeout = '6h';"  # a table may have any size


def count_remaining(session: Session, file: MigrationFile, batched: Batched, *, own_transaction: bool = True) -> int:
    """What a file's `-- remaining:` counts now; in a transaction that is open already, where it is not its own.

    Raises:
        MigrationFailed: the server refused the query.
        InvalidPlan: it gave something else than a number.
    """
    try:
        begin, end = ("BEGIN;", "COMMIT;") if own_transaction else ("SELECT 1;", "SELECT 1;")
        rows = session.run(f"{begin}{_FOR_LONG}{batched.remaining};{end}")[2].rows
    except ServerError as error:
        session.run("ROLLBACK")
        raise MigrationFailed(
            f"`-- remaining:` {error.message}",
            where=file.path,
            remedy="What is done stands. Correct what the query stumbled over; `./inv backfill` goes on.",
        ) from error
    if len(rows) == 1 and len(rows[0]) == 1 and (rows[0][0] or "").isdecimal():
        return int(rows[0][0] or "0")
    raise InvalidPlan(
        "`-- remaining:` gives no single number",
        where=file.path,
        remedy="Write it as SELECT count(*) FROM … WHERE ….",
    )
