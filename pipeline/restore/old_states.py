"""The branch that keeps what an environment was before it went back: its name says from where to where.

Its name is all that is left of the intention when a restore is killed: with it the same command finds what was done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.leases import Purpose
from pipeline.migrations.names import number_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.migrations.plan import Applied
    from pipeline.neon import Branch

_NAME = re.compile(r"(?P<environment>.+)-undone-(?P<number>[0-9]{4}[a-z]?)-at-(?P<lsn>[0-9A-F]+_[0-9A-F]+)")


@dataclass(frozen=True)
class OldState:
    """A branch with the state of which everything from migration `number` on was undone, by going back to `lsn`."""

    number: str
    lsn: str
    branch: Branch


def name_of_old_state(environment: str, migration: Applied) -> str:
    """How the branch is called that keeps the state from which an environment goes back behind a migration."""
    lsn = migration.lsn.replace("/", "_")
    return f"{Purpose.KEPT.value}/{environment}-undone-{number_of(migration.id)}-at-{lsn}"


def is_old_state(name: str, environment: str) -> bool:
    """Whether a branch is one that keeps such a state of an environment."""
    return (found := _found(name)) is not None and found["environment"] == environment


def old_states(branches: Iterable[Branch], environment: str) -> list[OldState]:
    """Those of an environment, the newest first."""
    kept = [
        OldState(found["number"], found["lsn"].replace("_", "/"), branch)
        for branch in branches
        if (found := _found(branch.name)) is not None and found["environment"] == environment
    ]
    return sorted(kept, key=lambda each: each.branch.created_at, reverse=True)


def _found(name: str) -> re.Match[str] | None:
    purpose, _, rest = name.partition("/")
    return _NAME.fullmatch(rest) if purpose == Purpose.KEPT.value else None
