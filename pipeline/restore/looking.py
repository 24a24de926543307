"""A look at what an environment was before a migration: a branch at that moment, and what became of each table's rows since.

Production is read only. The branch expires in a day; a second look at the same moment takes the one that is there.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import psycopg

from pipeline.errors import DatabaseFailed, Refused
from pipeline.kept_points import kept_points
from pipeline.leases import Purpose, take, taken
from pipeline.neon.failures import ApiError
from pipeline.neon.moments import NOW, Moment
from pipeline.postgres.connect import open_psycopg, where
from pipeline.postgres.lock import APPLICATION
from pipeline.restore.comparing import Sides, TableChanges, compare
from pipeline.restore.ground import client_of, compute_of, find_ground, find_migration, refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbclient.url import DatabaseURL
    from pipeline.deploy.checkout import Checkout
    from pipeline.leases import Lease, Source
    from pipeline.migrations.plan import Applied
    from pipeline.neon import NeonClient
    from pipeline.restore.ground import Ground

LASTS: Final = timedelta(hours=24)
CONFLICT = 409

# Row security would leave rows out without a word: with it off, the server refuses instead.
_BOTH = {
    "row_security": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
_OF_NOW = {**_BOTH, "default_transaction_read_only": "on"}


@dataclass(frozen=True)
class Look:
    """The state before `migration`, on a branch of its own, against the state now. `again`: the branch was there already."""

    ground: Ground
    migration: Applied
    lease: Lease
    again: bool
    tables: tuple[TableChanges, ...]


def look(checkout: Checkout, before: str, environ: Mapping[str, str], *, large: bool = False) -> Look:
    """Look at an environment as it was before a migration (its id or number).

    Raises:
        UsageError: no applied migration is named so.
        Refused: the server is no Neon branch, or its history does not go back so far; nothing was changed.
        ConfigurationError: NEON_API_KEY is not set.
        NeonFailed, DatabaseFailed: Neon or a server refused.
    """
    with client_of(environ) as client:
        ground = find_ground(checkout, client)
        migration = find_migration(ground.view, before)
        lease, again = branch_then(client, ground, migration, checkout.environment.name or "")
        tables = changes(checkout, lease, large=large)
    return Look(ground, migration, lease, again, tables)


def branch_at(client: NeonClient, ground: Ground, migration: Applied) -> tuple[Lease, bool]:
    """A branch at the moment before a migration, and whether it was there already."""
    source = ground.source(Moment(lsn=migration.lsn))
    name = look_name(ground.branch.name, migration)
    found = taken(client, source, Purpose.LOOK, name)
    if found is not None:
        return found, True
    try:
        return take(client, source, Purpose.LOOK, name, lasts=LASTS, compute=compute_of(client, ground)), False
    except ApiError as error:
        if error.status == CONFLICT:  # another look has been quicker
            return _other(client, source, name, error), True
        raise refused(error, migration) from error


def branch_then(client: NeonClient, ground: Ground, migration: Applied, environment: str) -> tuple[Lease, bool]:
    """As `branch_at`, and where the history does not go back so far, of the point that a deploy kept before the migration.

    A kept point expires and has no compute: a branch of now takes its state. Raises what `branch_at` raises.
    """
    try:
        return branch_at(client, ground, migration)
    except Refused:
        points = kept_points(client.branches(ground.project.id), environment)
        kept = next((each.branch for each in points if each.migration == migration.id), None)
        if kept is None:
            raise
    source, name = ground.source(NOW), f"{look_name(ground.branch.name, migration)}-kept"
    there = client.find_branch(ground.project.id, f"{Purpose.LOOK.value}/{name}")
    of_kept = there is not None and there.parent_id == kept.id
    found = taken(client, replace(source, branch_id=kept.id) if of_kept else source, Purpose.LOOK, name)
    if found is not None and of_kept:
        return found, True
    lease = found or take(client, source, Purpose.LOOK, name, lasts=LASTS, compute=compute_of(client, ground))
    return replace(lease, branch=client.restore_branch(ground.project.id, lease.branch.id, source_id=kept.id)), False


def look_name(branch: str, migration: Applied) -> str:
    """The rest of the name of a look's branch: the same for the same moment of the same branch."""
    return f"{branch}-before-{migration.id.partition('_')[0]}-at-{migration.lsn.replace('/', '_')}"


def changes(checkout: Checkout, lease: Lease, *, large: bool = False) -> tuple[TableChanges, ...]:
    """What became of each table since the moment of a lease."""
    with sides(checkout, lease) as both:
        return tuple(compare(both, checkout.observer, large=large))


@contextmanager
def sides(checkout: Checkout, lease: Lease) -> Iterator[Sides]:
    """Sessions on the state of a lease and on the environment, which may read alone.

    Raises:
        DatabaseFailed: a server refused, or is not there.
    """
    assert lease.url is not None  # noqa: S101 - a look has a compute
    try:
        with _connect(lease.url, _BOTH) as then, _connect(checkout.url.direct(), _OF_NOW) as now:
            yield Sides(then, now)
    except psycopg.Error as error:
        raise _failed(error) from None


def _other(client: NeonClient, source: Source, name: str, error: ApiError) -> Lease:
    found = taken(client, source, Purpose.LOOK, name)
    if found is None:
        raise error
    return found


def _connect(url: DatabaseURL, settings: Mapping[str, str]) -> psycopg.Connection[tuple[object, ...]]:
    try:
        return open_psycopg(url, application_name=f"{APPLICATION} restore", autocommit=True, settings=settings)
    except psycopg.Error as error:
        raise DatabaseFailed(f"no connection to {where(url)}: {error}", remedy="Nothing was changed.") from None


def _failed(error: psycopg.Error) -> DatabaseFailed:
    """Without the server's DETAIL, which quotes rows."""
    return DatabaseFailed(
        f"the comparison failed: {error.diag.message_primary or 'a connection was lost'}",
        remedy="Nothing was changed. The branch of the look stays until it expires: the same command goes on with it.",
    )
