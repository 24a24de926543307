"""What `plan` and `status` look at: an environment's history against the files, without the lock and without a write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.deploy.run import look
from pipeline.migrations import make_plan
from pipeline.migrations.files import raise_faults

if TYPE_CHECKING:
    from chatdb.url import DatabaseURL
    from pipeline.deploy.observer import Observer
    from pipeline.deploy.target import Target
    from pipeline.history import History
    from pipeline.migrations import Folder, Plan
    from pipeline.postgres.identity import Identity


@dataclass(frozen=True)
class Survey:
    """A server, its history, and what a deploy would do there. The plan's faults are listed, not raised."""

    server: str
    identity: Identity
    history: History
    plan: Plan

    def raise_faults(self) -> None:
        """Raise InvalidPlan when a deploy would refuse to run."""
        raise_faults(self.plan.faults)


def survey(url: DatabaseURL, folder: Folder, *, target: Target, observer: Observer) -> Survey:
    """Look at an environment.

    Raises:
        Refused: the target is not the one that was meant.
        DatabaseFailed: no connection, or the server refused the query.
    """
    server, identity, history = look(url, target=target, observer=observer)
    return Survey(server, identity, history, make_plan(folder, history.applied))
