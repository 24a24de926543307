"""What a restore stands on: the server that answers for an environment, its history, and its branch on Neon."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline import packages
from pipeline.deploy import inspect_server
from pipeline.errors import Refused, UsageError
from pipeline.leases import Source
from pipeline.migrations.names import number_of
from pipeline.migrations.plan import in_order_of_application

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline.deploy import View
    from pipeline.deploy.checkout import Checkout
    from pipeline.errors import NeonFailed
    from pipeline.migrations.plan import Applied
    from pipeline.neon import ApiError, Branch, Compute, Moment, NeonClient, Project
    from pipeline.postgres import Identity

_NO_SUCH_MOMENT = frozenset({400, 404, 406, 412, 416, 422})
_MAKES_A_BRANCH = re.compile(r"POST /projects/[^/ ]+/branches\b(?!/)")


@dataclass(frozen=True)
class Ground:
    """An environment's server as it was seen, and the Neon branch that it runs on. `owner` owns the database."""

    view: View
    project: Project
    branch: Branch
    owner: str

    @property
    def identity(self) -> Identity:
        """Who the server said that it is."""
        return self.view.identity

    def source(self, moment: Moment) -> Source:
        """What a lease is cut from."""
        return Source(self.project.id, self.branch.id, self.owner, self.identity.database, moment)


@contextmanager
def client_of(environ: Mapping[str, str]) -> Iterator[NeonClient]:
    """Neon's API, with the key of the environment's variables.

    Raises:
        ConfigurationError: NEON_API_KEY is not set.
    """
    packages.ensure("infra")
    from pipeline.neon import NeonClient

    with NeonClient.from_environment(environ) as client:
        yield client


def see(checkout: Checkout) -> View:
    """Look at an environment's server and its history. Raises what `inspect_server` raises."""
    return inspect_server(checkout.url, target=checkout.target, observer=checkout.observer)


def find_ground(checkout: Checkout, client: NeonClient, view: View | None = None) -> Ground:
    """Find the branch that an environment's server runs on.

    Raises:
        Refused: it is no Neon branch.
        NeonFailed: the key does not see its project.
        Other errors: what `inspect_server` raises.
    """
    view = view or see(checkout)
    identity = view.identity
    if not (identity.project_id and identity.branch_id):
        raise Refused(
            f"{view.server} is no Neon branch: it has no past that could be looked at",
            remedy="Nothing was changed. On a local database `./inv rollback` takes migrations back.",
        )
    project = client.project(identity.project_id)
    branch = client.branch(project.id, identity.branch_id)
    databases = client.databases(project.id, branch.id)
    owner = next((each.owner_name for each in databases if each.name == identity.database), identity.user)
    return Ground(view, project, branch, owner)


def find_migration(view: View, named: str) -> Applied:
    """The applied migration of that id or number, whose record says where in the log the moment before it is.

    Raises:
        UsageError: none is applied that is named so.
        Refused: nobody recorded its position.
    """
    order = in_order_of_application(view.history.applied.values())
    found = next((each for each in order if named in {each.id, number_of(each.id)}), None)
    if found is None:
        last = order[-1].id if order else "none"
        raise UsageError(
            f"no applied migration is named {named}; the last one is {last}",
            remedy="Give the id or the number of the one to go back behind: `./inv restore --env …` lists them.",
        )
    if not found.lsn:
        raise Refused(
            f"no position in the log is recorded of {found.id}: it was recorded without being run, or by stock yoyo",
            remedy="Nothing was changed. Neon's console takes an instant instead: "
            + (
                f"it was applied at {found.applied_at.isoformat()}."
                if found.applied_at
                else "when it ran nobody knows."
            ),
        )
    return found


def compute_of(client: NeonClient, ground: Ground) -> Compute:
    """The limits of the branch's own compute: what is slow there is as slow on a copy."""
    from pipeline.neon import Compute

    found = client.endpoints(ground.project.id, ground.branch.id)
    return replace(found[0].compute, suspend_timeout_seconds=0) if found else Compute(0.25, 2)


def refused(error: ApiError, found: Applied) -> NeonFailed | Refused:
    """What Neon's refusal to make a branch at a migration's position means: it has no such past, or another reason."""
    is_about_the_moment = error.status in _NO_SUCH_MOMENT and _MAKES_A_BRANCH.search(error.message)
    if not is_about_the_moment or error.says_no_room:
        return error
    return Refused(
        f"Neon cannot go back to {found.lsn}, before {found.id}: {error.message}",
        remedy="Nothing was changed. What is older than the project's history may be in a kept point or a snapshot, and "
        "`./inv restore --env …` lists the kept points. A position of this minute may not be there yet: run it again.",
    )
