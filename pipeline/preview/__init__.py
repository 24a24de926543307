"""A preview: a branch of an environment for one pull request, with passwords of its own and the pull request's migrations.

`prepare` makes the branch, or takes the one of that name back to its parent, and gives a checkout of it, on which the plan is
read and the deploy run like on any environment. Killed at any step, the same call goes on from what is there.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pipeline import packages
from pipeline.deploy.checkout import Checkout
from pipeline.deploy.observer import Observer
from pipeline.deploy.signals import as_exceptions, stating_outcome
from pipeline.deploy.target import Target
from pipeline.environments import Environment
from pipeline.environments.place import find_parent, place_of
from pipeline.environments.stack_file import stack_file_name
from pipeline.errors import Refused, UsageError
from pipeline.leases import Purpose, clear, give_back
from pipeline.preview.answering import require_branch
from pipeline.preview.branch import find, make_or_renew
from services import RUNTIME_ROLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.history import Marker
    from pipeline.leases import Lease
    from pipeline.neon import NeonClient

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_LONGEST: Final = timedelta(days=30)  # Neon's
_PRODUCTION: Final = "prod"


@dataclass(frozen=True)
class Wanted:
    """What a preview is to be: its name, the environment that it is a copy of, for how long, and whether with its rows."""

    name: str
    environment: str
    lasts: timedelta
    with_data: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for a name that is none, or a time that Neon does not give."""
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"--name {self.name!r} is no name of a preview",
                remedy="It has letters a to z, digits, and . _ - between them, at most 63: --name pr-12.",
            )
        if not timedelta() < self.lasts <= _LONGEST:
            raise UsageError(
                f"a preview cannot last {self.lasts.total_seconds() / 3600:g} hours",
                remedy="Neon keeps a branch that expires for at most 30 days: --expires-hours 720.",
            )


@dataclass(frozen=True)
class Prepared:
    """A preview's branch and a checkout of it. `again`: it was there already; `rows`: it has those of its parent."""

    wanted: Wanted
    lease: Lease
    checkout: Checkout
    again: bool
    rows: bool


def prepare(
    root: Path,
    wanted: Wanted,
    *,
    observer: Observer | None = None,
    client: Callable[[], NeonClient] | None = None,
) -> Prepared:
    """Make the branch of a preview, or take it back to what its parent is now; its passwords are new each time.

    Raises:
        UsageError: the environment is the local one, or the name is an environment's.
        ConfigurationError: nobody says where the environment is, or there is no NEON_API_KEY.
        Refused: a branch of that name is there that this did not make; nothing was changed.
        WrongTarget: what answers at the branch's address is another one.
        NeonFailed: Neon's API refused or was lost.
        Interrupted: a signal arrived.
    """
    observer = observer or Observer()
    if (root / stack_file_name(wanted.name)).exists():
        raise UsageError(
            f"{wanted.name} is an environment: a preview of that name would be taken for it", remedy="Give another."
        )
    place = place_of(wanted.environment, root, "preview")
    rest = f"the branch preview/{wanted.name} may be half made: the same command goes on with it."
    with as_exceptions(), stating_outcome(rest), (client or _client)() as neon:
        branches = neon.branches(place.project_id)
        parent = find_parent(neon, place, branches)
        is_production = wanted.environment == _PRODUCTION or parent.branch.default
        rows = wanted.with_data or not is_production
        found = find(branches, wanted.name)
        clear(neon, place.project_id, Purpose.LOOK)
        observer.working(f"the branch preview/{wanted.name} is made from {parent.branch.name}")
        lease, again = make_or_renew(neon, parent, wanted.name, found, lasts=wanted.lasts, schema_only=not rows)
        if lease.url is not None:
            require_branch(lease.url, lease.branch)
    return Prepared(wanted, lease, _checkout(root, lease, observer), again, rows)


def refuse_production(
    prepared: Prepared, marker: Marker | None, *, client: Callable[[], NeonClient] | None = None
) -> None:
    """Refuse rows that are production's by the database's own marker, of a copy that is named otherwise, and delete the branch.

    Raises:
        Refused: nobody said `--with-data`.
        NeonFailed: Neon's API refused or was lost.
    """
    if not prepared.rows or prepared.wanted.with_data or marker is None or marker.environment != _PRODUCTION:
        return
    with as_exceptions(), (client or _client)() as neon:
        give_back(neon, prepared.lease)
    name = prepared.wanted.environment
    raise Refused(
        f"{name} has production's rows: its database says that it is {_PRODUCTION}, since nobody has deployed to {name} yet",
        remedy=f"The branch is deleted again. `--from {_PRODUCTION}` takes production's schema without a row; `--with-data` "
        "takes the rows, which are personal data.",
    )


def take_down(root: Path, name: str, environment: str, *, client: Callable[[], NeonClient] | None = None) -> bool:
    """Delete the branch of a preview for good. False where it was gone already.

    Raises:
        Refused: the branch of that name is not one that `prepare` made.
        ConfigurationError, NeonFailed: as `prepare`.
    """
    Wanted(name, environment, _LONGEST)
    place = place_of(environment, root, "preview")
    with as_exceptions(), stating_outcome("the same command goes on with it."), (client or _client)() as neon:
        found = find(neon.branches(place.project_id), name)
        return found is not None and neon.delete_branch(place.project_id, found.id, hard=True)


def service_urls(prepared: Prepared, *, client: Callable[[], NeonClient] | None = None) -> dict[str, DatabaseURL]:
    """Each runtime role's connection through the pooler, once the preview is deployed. They hold passwords.

    Raises:
        WrongTarget: what answers there is another branch.
        NeonFailed, DatabaseFailed: Neon or the server refused.
    """
    lease, target = prepared.lease, prepared.checkout.target
    assert lease.url is not None  # noqa: S101 - a preview has a compute
    with as_exceptions(), (client or _client)() as neon:
        pooled = neon.connection_uri(
            lease.branch.project_id,
            branch_id=lease.branch.id,
            database=lease.url.database or "",
            role=lease.url.user or "",
            pooled=True,
        )
        urls = {role: pooled.copy_with(user=role, password=password) for role, password in target.passwords.items()}
        for url in urls.values():
            require_branch(url, lease.branch)
    return urls


def _checkout(root: Path, lease: Lease, observer: Observer) -> Checkout:
    """The pull request's files, committed or not, and the branch, which has to be the one that answers."""
    assert lease.url is not None  # noqa: S101 - a preview has a compute
    name = lease.branch.name
    passwords = {role: secrets.token_hex(24) for role in RUNTIME_ROLES}
    target = Target(name, lease.branch.project_id, lease.branch.id, passwords=passwords)
    environment = Environment(name, lease.url, f"the Neon branch {name}")
    return Checkout(root, environment, target, "preview", observer, uncommitted=True)


def _client() -> NeonClient:
    packages.ensure("infra")
    from pipeline.neon.client import NeonClient

    return NeonClient.from_environment(os.environ)
