"""Run A: the deploy itself, unchanged, on a copy. What it has to say is kept as names and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.deploy import apply
from pipeline.deploy.checkout import BACKFILL_SECONDS
from pipeline.errors import DatabaseFailed, TimedOut
from pipeline.postgres.session import ServerError
from pipeline.rehearsal.counting import compared, count_all
from pipeline.rehearsal.digests import digests_of
from pipeline.rehearsal.measuring import condition_of
from pipeline.rehearsal.result import Applied
from pipeline.rehearsal.telling import Told
from pipeline.rehearsal.values import Failure

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from pipeline.deploy.observer import Observer
    from pipeline.errors import PipelineError
    from pipeline.history.record import Author
    from pipeline.migrations import Folder
    from pipeline.receipts.digests import Digests


@dataclass(frozen=True)
class Deployed:
    """What came of it.

    `after` is the state that it ended in, None where it did not come to its end; `why_not` says why that does not tell what a
    deploy does, or is empty.
    """

    applied: Applied
    after: Digests | None = None
    why_not: str = ""


def deploy_on_copy(url: DatabaseURL, folder: Folder, author: Author, observer: Observer) -> Deployed:
    """Deploy what is pending of the folder, and count every table's rows before and after.

    Raises what `apply` raises before it runs anything: InvalidPlan, Refused, ConfigurationError.
    """
    told = Told(observer, "deployed")
    before = count_all(url)
    failure, why_not = None, ""
    try:
        apply(
            url,
            folder,
            author=lambda: author,
            observer=told,
            verb="rehearse",
            backfill_seconds=BACKFILL_SECONDS,
        )
    except (DatabaseFailed, TimedOut) as error:
        failure = _failure_of(error, folder)
        why_not = "" if failure else shown(error)
    if why_not:
        return Deployed(Applied(tuple(told.took), compared(before, before), None), why_not=why_not)
    after = None if failure else digests_of(url)
    rows = compared(before, count_all(url))
    return Deployed(Applied(tuple(told.took), rows, after.schema if after else None, failure), after)


def shown(error: PipelineError) -> str:
    """What an error says, without what a server says: there may be values of rows in it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ServerError):
            return f"the server refused it ({cause.sqlstate} {condition_of(cause.sqlstate)})"
        cause = cause.__cause__
    return error.what.splitlines()[0]


def _failure_of(error: PipelineError, folder: Folder) -> Failure | None:
    """The statement of a file that failed; None where it was something else: a lost connection, a lock that was not free."""
    id_ = error.outcome.stopped_at if error.outcome is not None else ""
    if isinstance(error, TimedOut) or not isinstance(error.__cause__, ServerError) or id_ not in folder.by_id:
        return None
    line = error.where.rpartition(":")[2]
    sqlstate = error.__cause__.sqlstate
    return Failure(id_, folder.by_id[id_].path, int(line) if line.isdigit() else None, sqlstate, condition_of(sqlstate))
