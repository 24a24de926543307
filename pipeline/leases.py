"""Branches that the pipeline makes for a while: rehearsals, looks into the past, previews and kept points.

Each is a lease. Its name says what it is for; it expires by itself; and where it has a compute, the owner gets a password of
this branch's own before anybody connects, since a copy begins with its parent's. What a killed run left is known by its name
and taken away by the next run of the same purpose. Branches that somebody else made are never touched.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import threading
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.errors import TimedOut
from pipeline.neon.failures import ApiError, OperationFailed
from pipeline.neon.moments import NOW
from servers.processes import process_exists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dbclient.url import DatabaseURL
    from pipeline.neon import Branch, Compute, Moment, NeonClient

# HOST-PID-WORD of the process that holds a lease, in the name of its branch.
_HOLDER = re.compile(r"(?P<host>[a-z0-9-]{1,40})-(?P<pid>[0-9]{1,10})-[0-9a-f]{8}(?:-.*)?")
# A run on another machine cannot be looked at: it is taken for dead when its branch is older than this.
LONGEST_RUN: Final = timedelta(hours=1)

_READY: Final = "ready"
_NAMED: Final = 5  # of the branches that could go, where the plan has no room


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
    schema_only: bool = False,
) -> Lease:
    """Make a branch `purpose/name` that Neon deletes by itself after `lasts` (at most 30 days).

    With `compute` it has an endpoint, and the owner a new password. `schema_only` leaves the rows behind. Raises what the
    client raises, ApiError (409) for a name that is taken, and one that says what to delete where the plan has no room; a
    branch whose password could not be set is deleted again.
    """
    try:
        branch = client.create_branch(
            source.project_id,
            f"{purpose.value}/{name}",
            parent_id=source.branch_id,
            moment=source.moment,
            schema_only=schema_only,
            expires_at=_end(lasts),
            compute=compute,
        ).branch
    except ApiError as refusal:
        if refusal.says_no_room:
            raise _no_room(refusal, client.branches(source.project_id)) from refusal
        raise
    if compute is None:
        return Lease(purpose, branch, None)
    try:
        return Lease(purpose, branch, _own_url(client, source, branch))
    except BaseException:
        client.delete_branch(source.project_id, branch.id, hard=True)
        raise


def take_back(client: NeonClient, source: Source, purpose: Purpose, branch: Branch, *, lasts: timedelta) -> Lease:
    """Bring a branch of ours with a compute to the present of its parent, for `lasts` from now; the owner's password is new.

    Its compute and its address stay. Raises what the client raises.
    """
    reset = client.reset_branch(source.project_id, branch.id)
    renewed = client.expire_branch(source.project_id, reset.id, _end(lasts))
    return Lease(purpose, renewed, _own_url(client, source, renewed))


def is_lease(branch: Branch) -> bool:
    """Whether the pipeline made a branch: by its name, its expiry, and that it is a copy, which no person's root is."""
    copied = branch.parent_id is not None or branch.is_schema_only
    kept_by_nobody = branch.expires_at is not None and not branch.default and not branch.protected
    return purpose_of(branch.name) is not None and copied and kept_by_nobody


def taken(client: NeonClient, source: Source, purpose: Purpose, name: str) -> Lease | None:
    """The lease `purpose/name` with a compute that an earlier run took of the same branch, or None where there is none.

    Its expiry is what it was. A run that was killed before it had set the owner's password is made up for, and a branch that
    Neon could not make is deleted. Raises ApiError (409)
    where another branch's copy has the name.
    """
    branch = client.find_branch(source.project_id, f"{purpose.value}/{name}")
    if branch is None:
        return None
    if branch.parent_id != source.branch_id:
        raise ApiError(
            f"the branch {branch.name} ({branch.id}) has that name, and is no copy of {source.branch_id} any more",
            status=409,
            remedy="Nothing was changed. A restore moved it below the branch that keeps the old state. When it has expired, or "
            "somebody has deleted it, another one can have its name.",
        )
    try:
        client.settle(source.project_id, branch.id)
    except OperationFailed:
        if client.branch(source.project_id, branch.id).current_state == _READY:
            raise
        client.delete_branch(source.project_id, branch.id, hard=True)  # it never became one
        return None
    parents, own = (
        client.reveal_password(source.project_id, id_, source.owner) for id_ in (source.branch_id, branch.id)
    )
    url = _own_url if parents == own else _owners_url
    return Lease(purpose, branch, url(client, source, branch))


def give_back(client: NeonClient, lease: Lease) -> None:
    """Delete the branch of a lease for good; one that is gone already is no fault."""
    client.delete_branch(lease.branch.project_id, lease.branch.id, hard=True)


@contextmanager
def lent(
    client: NeonClient, source: Source, purpose: Purpose, *, word: str = "", lasts: timedelta, compute: Compute
) -> Iterator[Lease]:
    """A lease for the time of a block, given back however the block ends: a signal waits meanwhile. Raises as `take` does."""
    name = own_name(word)
    lease = None
    try:
        lease = take(client, source, purpose, name, lasts=lasts, compute=compute)
        yield lease
    finally:

        def delete() -> None:
            if lease is not None:
                give_back(client, lease)
            else:  # the name is our own: so is what bears it
                give_back_named(client, source.project_id, f"{purpose.value}/{name}")

        undisturbed(delete)


def give_back_named(client: NeonClient, project_id: str, name: str) -> None:
    """Delete the branch that a call has made which failed behind that, or none. What Neon still does on it ends first."""
    if (made := client.find_branch(project_id, name)) is None:
        return
    with suppress(OperationFailed, TimedOut):
        client.settle(project_id, made.id)
    client.delete_branch(project_id, made.id, hard=True)


def undisturbed(work: Callable[[], None]) -> None:
    """Do it whatever comes: also where a signal came in the moment before they are held, which is handled behind it."""
    begun = False
    try:
        with signals_held():
            begun = True
            work()
    finally:
        if not begun:
            with signals_held():
                work()


@contextmanager
def signals_held() -> Iterator[None]:
    """While inside, SIGINT and SIGTERM wait; what came is handled at the end. Signals reach the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, lambda received, _frame: came.append(received))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def clear(client: NeonClient, project_id: str, purpose: Purpose, branches: Sequence[Branch] | None = None) -> list[str]:
    """Delete what killed runs of a purpose have left; returns the names of the branches.

    Left is a branch whose process on this machine is gone, or one from another machine that is older than LONGEST_RUN.
    `branches` are the project's, where somebody has asked for them already.
    """
    now = datetime.now(UTC)
    known = client.branches(project_id) if branches is None else branches
    left = [branch for branch in known if _is_left(branch, purpose, now)]
    for branch in left:
        client.delete_branch(project_id, branch.id, hard=True)
    return [branch.name for branch in left]


def left_over(branches: Sequence[Branch], now: datetime | None = None) -> list[Branch]:
    """What of a project's branches is ours and needed by nobody: what killed runs have left, and what has expired."""
    moment = now or datetime.now(UTC)
    ours = [branch for branch in branches if is_lease(branch)]
    return [
        branch
        for branch in ours
        if (branch.expires_at is not None and branch.expires_at <= moment)
        or any(_is_left(branch, purpose, moment) for purpose in Purpose)
    ]


def _end(lasts: timedelta) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + lasts


def _own_url(client: NeonClient, source: Source, branch: Branch) -> DatabaseURL:
    """The owner's connection to a branch, with a password that its parent does not have."""
    client.reset_password(source.project_id, branch.id, source.owner)
    return _owners_url(client, source, branch)


def _owners_url(client: NeonClient, source: Source, branch: Branch) -> DatabaseURL:
    return client.connection_uri(
        source.project_id, branch_id=branch.id, database=source.database, role=source.owner, pooled=False
    )


def _no_room(refusal: ApiError, branches: Sequence[Branch]) -> ApiError:
    """The refusal in one sentence, with what of ours could go."""
    of_roots = "root branches" in refusal.message.lower()  # of which a plan allows few, and a schema-only branch is one
    counted = [each for each in branches if each.parent_id is None or not of_roots]
    # a kept point may still be somebody's way back: it comes last
    ours = sorted(
        (each for each in counted if is_lease(each)),
        key=lambda each: (purpose_of(each.name) is Purpose.KEPT, each.created_at, each.name),
    )
    listed = ", ".join(f"{each.name} (of {each.created_at:%Y-%m-%d})" for each in ours[:_NAMED])
    more = f" and {len(ours) - _NAMED} more" if len(ours) > _NAMED else ""
    return ApiError(
        f"Neon's plan allows no more {'root ' if of_roots else ''}branches in this project, which has {len(counted)}",
        status=refusal.status,
        code=refusal.code,
        request_id=refusal.request_id,
        remedy="`./inv branches --clean` deletes what ended runs have left. "
        + (
            f"Of the pipeline's branches these could go, the first ones first: {listed}{more}."
            if ours
            else "None of them is the pipeline's."
        ),
    )


def _host() -> str:
    """The machine, by its name and by this start of it: CI's machines are made of one image, whose name they may all have."""
    name = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower())[:31].strip("-") or "host"
    return f"{name}-{_start_of_machine()}"


def _start_of_machine() -> str:
    """Eight digits that another start of this machine or another machine does not have; of where no Linux is, of its network."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except OSError:
        return f"{uuid.getnode():012x}"[-8:]


def _is_left(branch: Branch, purpose: Purpose, now: datetime) -> bool:
    holder = _HOLDER.fullmatch(branch.name.partition("/")[2])
    if purpose_of(branch.name) is not purpose or holder is None or branch.expires_at is None:
        return False  # made by hand, or to stay
    if holder["host"] == _host():
        return not process_exists(int(holder["pid"]))
    return now - branch.created_at > LONGEST_RUN
