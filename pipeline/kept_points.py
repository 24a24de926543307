"""Kept points: what a branch was just before a deploy that destroys something, as a branch without a compute.

A point costs no compute and pins its data until it expires, so there is a way back when the history of the project does not
reach that far any more. Its name says of which environment it is, before which migration, and when it was made:
`kept/prod-before-0007_drop_notes-20261127T191233Z`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pipeline.leases import Purpose, is_lease, take

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from pipeline.leases import Source
    from pipeline.neon import Branch, NeonClient

_WHEN: Final = "%Y%m%dT%H%M%SZ"
_NAME: Final = re.compile(
    r"(?P<environment>.+)-before-(?P<migration>[0-9]{4}[a-z]?_[a-z0-9_]+)-(?P<at>[0-9]{8}T[0-9]{6}Z)"
)


@dataclass(frozen=True)
class KeptPoint:
    """A branch that keeps what `environment` was before `migration`; `at` is when it was made, in UTC."""

    environment: str
    migration: str
    at: datetime
    branch: Branch


def kept_points(branches: Sequence[Branch], environment: str) -> list[KeptPoint]:
    """The points of an environment among a project's branches, newest first.

    By their names: after a restore in place their parent is the branch that keeps the old state.
    """
    found = [point for branch in branches if (point := _point(branch)) and point.environment == environment]
    return sorted(found, key=lambda point: point.at, reverse=True)


def keep(client: NeonClient, source: Source, environment: str, migration: str, *, lasts: timedelta) -> KeptPoint:
    """Keep what `source` is at its moment, before `migration`, which has not run.

    One point for a migration: an earlier one of a deploy that did not get to run it goes first, since the present has all
    that it has. Raises what `take` raises.
    """
    for point in kept_points(client.branches(source.project_id), environment):
        if point.migration == migration:
            client.delete_branch(source.project_id, point.branch.id, hard=True)
    at = datetime.now(UTC).replace(microsecond=0)
    name = f"{environment}-before-{migration}-{at.strftime(_WHEN)}"
    return KeptPoint(environment, migration, at, take(client, source, Purpose.KEPT, name, lasts=lasts).branch)


def _point(branch: Branch) -> KeptPoint | None:
    purpose, _, rest = branch.name.partition("/")
    named = _NAME.fullmatch(rest)
    if purpose != Purpose.KEPT.value or named is None or not is_lease(branch):
        return None
    at = datetime.strptime(named["at"], _WHEN).replace(tzinfo=UTC)
    return KeptPoint(named["environment"], named["migration"], at, branch)
