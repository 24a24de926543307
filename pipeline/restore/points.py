"""The moments that an environment can go back to: before each migration, and those that a deploy kept as branches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from pipeline.kept_points import kept_points
from pipeline.migrations.plan import in_order_of_application
from pipeline.restore.ground import client_of, find_ground, see
from pipeline.restore.old_states import is_old_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipeline.deploy import View
    from pipeline.deploy.checkout import Checkout
    from pipeline.kept_points import KeptPoint
    from pipeline.migrations.plan import Applied, Held
    from pipeline.neon import Branch, NeonClient


@dataclass(frozen=True)
class Point:
    """The moment before a migration. `reachable`: whether the project's history has it, None where nobody could be asked."""

    migration: Applied
    reachable: bool | None


@dataclass(frozen=True)
class Points:
    """What an environment can go back to, oldest first. `history_from` is where the project's history begins, or None.

    `unasked` says why Neon was not asked, or nothing.
    """

    view: View
    points: tuple[Point, ...]
    kept: tuple[KeptPoint, ...] = ()
    old_states: tuple[Branch, ...] = ()  # what the environment was before it went back, kept until somebody deletes it
    history_from: datetime | None = None
    unasked: str = ""

    @property
    def held(self) -> tuple[Held, ...]:
        """What a restore undid, and does not run again as it is."""
        return tuple(self.view.history.held[id_] for id_ in sorted(self.view.history.held))


def read_points(checkout: Checkout, environ: Mapping[str, str]) -> Points:
    """List them. Where Neon cannot be asked, what the database knows is listed all the same.

    Raises what `inspect_server` raises.
    """
    view = see(checkout)
    applied = in_order_of_application(view.history.applied.values())
    if not view.identity.branch_id:
        return Points(
            view, tuple(Point(each, None) for each in applied), unasked="this is no Neon branch, which alone has a past"
        )
    try:
        with client_of(environ) as client:
            return _ask(client, checkout, view, applied)
    except PipelineError as error:
        return Points(view, tuple(Point(each, None) for each in applied), unasked=error.message)


def history_from(retention_seconds: int | None, created_at: datetime, now: datetime) -> datetime:
    """Where a branch's history begins: it goes back so far, and not behind the branch itself."""
    return max(created_at, now - timedelta(seconds=retention_seconds or 0))


def _ask(client: NeonClient, checkout: Checkout, view: View, applied: Iterable[Applied]) -> Points:
    ground = find_ground(checkout, client, view)
    since = history_from(ground.project.history_retention_seconds, ground.branch.created_at, datetime.now(UTC))
    branches = client.branches(ground.project.id)
    environment = checkout.environment.name or ""
    return Points(
        view,
        tuple(Point(each, _is_within(each, since)) for each in applied),
        tuple(kept_points(branches, environment)[::-1]),
        tuple(branch for branch in branches if is_old_state(branch.name, environment)),
        since,
    )


def _is_within(applied: Applied, since: datetime) -> bool:
    return bool(applied.lsn) and applied.applied_at is not None and applied.applied_at >= since
