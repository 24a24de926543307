"""Branches that the pipeline makes for a while: rehearsals, looks into the past, previews and kept points.

Each is a lease. Its name says what it is for; it expires by itself; and where it has a compute, the owner gets a password of
this branch's own before anybody connects, since a copy begins with its parent's. What a killed run left is known by its name
and taken away by the next run of the same purpose. Branches that somebody else made are never touched.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

from pipeline.neon.moments import NOW
from servers.processes import process_exists

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from pipeline.neon import Branch, Compute, Moment, NeonClient

# HOST-PID-WORD of the process that holds a lease, in the name of its branch.
_HOLDER = re.compile(r"(?P<host>[a-z0-9-]{1,40})-(?P<pid>[0-9]{1,10})-[0-9a-f]{8}(?:-.*)?")
# A run on another machine cannot be looked at: it is taken for dead when its branch is older than this.
LONGEST_RUN: Final = timedelta(hours=1)


class Purpose(Enum):
    """What a branch of ours is for: the first part of its name."""

    REHEARSAL = "rehearsal"
    LOOK = "look"
    PREVIEW = "preview"
    KEPT = "kept"


@dataclass(frozen=True)
class Source:
    """What a lease is a copy of: a branch at a moment, with the owner and the database that are connected to."""

    project_id: str
    branch_id: str
    owner: str
    database: str
    moment: Moment = NOW


@dataclass(frozen=True)
class Lease:
    """A branch of ours, and the owner's direct connection to it: None where it has no compute."""

    purpose: Purpose
    branch: Branch
    url: DatabaseURL | None


def purpose_of(branch_name: str) -> Purpose | None:
    """What a branch is for by its name; None for one that the pipeline did not make."""
    first, slash, rest = branch_name.partition("/")
    named = slash and rest and first in {each.value for each in Purpose}
    return Purpose(first) if named else None


def own_name(word: str = "") -> str:
    """The rest of a branch's name by which a later run sees whether the process that made it still lives."""
    return f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}" + (f"-{word}" if word else "")


def take(
    client: NeonClient,
    source: Source,
    purpose: Purpose,
    name: str,
    *,
    lasts: timedelta,
    compute: Compute | None = None,
) -> Lease:
    """Make a branch `purpose/name` that Neon deletes by itself after `lasts` (at most 30 days).

    With `compute` it has an endpoint, and the owner a new password. Raises what the client raises, ApiError (409) for a name
    that is taken; a branch whose password could not be set is deleted again.
    """
    expires_at = datetime.now(UTC).replace(microsecond=0) + lasts
    made = client.create_branch(
        source.project_id,
        f"{purpose.value}/{name}",
        parent_id=source.branch_id,
        moment=source.moment,
        expires_at=expires_at,
        compute=compute,
    )
    branch = made.branch
    if compute is None:
        return Lease(purpose, branch, None)
    try:
        client.reset_password(source.project_id, branch.id, source.owner)
        url = client.connection_uri(
            source.project_id, branch_id=branch.id, database=source.database, role=source.owner, pooled=False
        )
    except BaseException:
        client.delete_branch(source.project_id, branch.id, hard=True)
        raise
    return Lease(purpose, branch, url)


def give_back(client: NeonClient, lease: Lease) -> None:
    """Delete the branch of a lease for good; one that is gone already is no fault."""
    client.delete_branch(lease.branch.project_id, lease.branch.id, hard=True)


@contextmanager
def lent(
    client: NeonClient, source: Source, purpose: Purpose, *, word: str = "", lasts: timedelta, compute: Compute
) -> Iterator[Lease]:
    """A lease for the time of a block, given back however the block ends. Raises as `take` does."""
    lease = take(client, source, purpose, own_name(word), lasts=lasts, compute=compute)
    try:
        yield lease
    finally:
        give_back(client, lease)


def clear(client: NeonClient, project_id: str, purpose: Purpose) -> list[str]:
    """Delete what killed runs of a purpose have left; returns the names of the branches.

    Left is a branch whose process on this machine is gone, or one from another machine that is older than LONGEST_RUN.
    """
    now = datetime.now(UTC)
    left = [branch for branch in client.branches(project_id) if _is_left(branch, purpose, now)]
    for branch in left:
        client.delete_branch(project_id, branch.id, hard=True)
    return [branch.name for branch in left]


def _host() -> str:
    return re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower())[:40].strip("-") or "host"


def _is_left(branch: Branch, purpose: Purpose, now: datetime) -> bool:
    holder = _HOLDER.fullmatch(branch.name.partition("/")[2])
    if purpose_of(branch.name) is not purpose or holder is None or branch.expires_at is None:
        return False  # made by hand, or to stay
    if holder["host"] == _host():
        return not process_exists(int(holder["pid"]))
    return now - branch.created_at > LONGEST_RUN
