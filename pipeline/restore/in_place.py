"""Going back in place: an environment's own branch takes its state before a migration, and what that undid is held.

The branch keeps its id, its computes and its connection string; what it was becomes a branch of its own, and its children
move there. Everything that may refuse is asked before anything is touched. A run that is killed is gone on with by the same
command: the name of the branch with the old state says what was wanted.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.deploy import View, inspect_server
from pipeline.deploy.activation import activate
from pipeline.deploy.authorship import author_of
from pipeline.deploy.doubts import passwords_unseen
from pipeline.deploy.locking import Deadlines
from pipeline.deploy.signals import as_exceptions
from pipeline.deploy.target import admit, marker_sql
from pipeline.errors import Refused, TimedOut, UsageError
from pipeline.history.holding import HELD, held_sql
from pipeline.history.log import READ_LOG, parse_log
from pipeline.history.tables import CREATE
from pipeline.leases import Purpose, give_back, lent
from pipeline.migrations.names import number_of
from pipeline.neon.moments import Moment
from pipeline.restore.ground import client_of, compute_of, find_ground, find_migration
from pipeline.restore.looking import LASTS, branch_at, changes
from pipeline.restore.old_states import is_old_state, name_of_old_state, old_states
from pipeline.restore.writers import find_writers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pipeline.deploy.checkout import Checkout
    from pipeline.deploy.locking import Opened
    from pipeline.deploy.target import Target
    from pipeline.migrations.plan import Applied
    from pipeline.neon import Branch, NeonClient
    from pipeline.restore.comparing import TableChanges
    from pipeline.restore.ground import Ground
    from pipeline.restore.writers import Writers

_RECENT = 100  # operations of a project that are looked through for one that has not ended


@dataclass(frozen=True)
class Loss:
    """What going back takes away, before anything is touched: the `undone` migrations, and the rows written since."""

    environment: str
    server: str
    migration: Applied
    undone: tuple[Applied, ...]
    tables: tuple[TableChanges, ...]
    writers: Writers


@dataclass(frozen=True)
class WentBack:
    """An environment that went back. `held` are the migrations that it undid, `activated` the roles that got their password.

    `before` is the migration that was named, and `lsn` where it went. `passwords_unseen`: why nobody looked at them, and what
    to run. `resumed`: an earlier run had gone back, and this one did the rest.
    """

    view: View
    before: str
    lsn: str
    old_state: Branch
    held: tuple[str, ...]
    tables: tuple[TableChanges, ...] = ()
    activated: tuple[str, ...] = ()
    passwords_unseen: str = ""
    resumed: bool = False


def go_back(
    checkout: Checkout,
    before: str,
    environ: Mapping[str, str],
    *,
    consent: Callable[[Loss], None],
    large: bool = False,
) -> WentBack:
    """Let an environment go back to before a migration (its id or number), hold what that undid, and set passwords right.

    `consent` is told what will be lost and raises where that is not wanted.

    Raises:
        UsageError: no applied migration is named so.
        Refused: the project's history does not go back so far, another deploy is at work, or `consent` refused: nothing was
            changed.
        ConfigurationError: NEON_API_KEY is not set.
        NeonFailed, DatabaseFailed: Neon or the server refused; the same command goes on from there.
    """
    environment = checkout.environment.name or ""
    with as_exceptions(), client_of(environ) as client:
        ground = _settled(checkout, client)
        try:
            migration = find_migration(ground.view, before)
        except UsageError as error:
            return _resume(checkout, client, ground, environment, before, error)
        _refuse_child(client, ground, environment)
        return _go(checkout, client, ground, environment, migration, consent, large=large)


def _settled(checkout: Checkout, client: NeonClient) -> Ground:
    """The branch, once nothing is at work on it: a run that was killed may have begun what has not ended."""
    ground = find_ground(checkout, client)
    recent = islice(client.operations(ground.project.id), _RECENT)
    unfinished = [each for each in recent if each.branch_id == ground.branch.id and not each.is_finished]
    if not unfinished:
        return ground
    client.wait(reversed(unfinished))
    return find_ground(checkout, client)


def _refuse_child(client: NeonClient, ground: Ground, environment: str) -> None:
    """Neon lets root branches alone go back in their own history; the old state of an earlier going back is no parent of one.

    Raises:
        Refused: the environment's branch is cut from another one.
    """
    parent = ground.branch.parent_id
    names = {each.id: each.name for each in client.branches(ground.project.id)} if parent else {}
    if parent and not is_old_state(names.get(parent, ""), environment):
        raise Refused(
            f"{environment} is on the branch {ground.branch.name}, which was cut from {names.get(parent, parent)}: Neon lets "
            "root branches alone go back in place",
            remedy="Nothing was changed. `--before` without --in-place shows what was there, and `--take` brings a table's "
            "rows back; Neon's console resets the branch to its parent.",
        )


def _go(
    checkout: Checkout,
    client: NeonClient,
    ground: Ground,
    environment: str,
    migration: Applied,
    consent: Callable[[Loss], None],
    *,
    large: bool,
) -> WentBack:
    name = name_of_old_state(environment, migration)
    with _locked(checkout) as opened:
        session, applied = opened.session, opened.history.applied
        admit(checkout.target, opened)
        if applied.get(migration.id) != migration:
            raise Refused("somebody else has deployed meanwhile", remedy="Nothing was changed. Look again.")
        lease, again = branch_at(client, ground, migration)
        tables = changes(checkout, lease, large=large)
        undone = tuple(each for each in applied.values() if _is_behind(each, migration))
        checkout.observer.resting()
        consent(Loss(environment, session.shown_as, migration, undone, tables, find_writers(session)))
        if not again:  # it is what the branch becomes, and the branch with the old state could not go before it
            give_back(client, lease)
        checkout.observer.working(f"going back to {migration.lsn}")
        restored = client.restore_branch(
            ground.project.id, ground.branch.id, moment=Moment(lsn=migration.lsn), preserve_as=name
        )
    old = client.find_branch(ground.project.id, name)
    if old is None:
        raise Refused(f"the branch {name}, which is to keep the old state, is not there", remedy="See Neon's console.")
    if restored.id != ground.branch.id:
        checkout.observer.note(
            f"Neon gave the branch another id, {restored.id}: run `pulumi up --refresh` on its stack before the next deploy"
        )
        checkout = replace(checkout, target=replace(checkout.target, branch_id=restored.id))
    return replace(_finish(checkout, migration.id, migration.lsn, old, applied), tables=tables)


def _resume(
    checkout: Checkout, client: NeonClient, ground: Ground, environment: str, before: str, unknown: UsageError
) -> WentBack:
    """Do the rest of what a killed run has begun, where a branch with the old state says that one has."""
    states = old_states(client.branches(ground.project.id), environment)
    found = next((each for each in states if each.number == number_of(before)), None)
    if found is None:
        raise unknown
    checkout.observer.note(
        f"the branch {found.branch.name} says that this went back already; what was undone is read there"
    )
    source = replace(ground.source(Moment()), branch_id=found.branch.id)
    with lent(client, source, Purpose.LOOK, word="undone", lasts=LASTS, compute=compute_of(client, ground)) as lease:
        assert lease.url is not None  # noqa: S101 - it has a compute
        applied = inspect_server(lease.url, observer=checkout.observer).history.applied
    return replace(_finish(checkout, before, found.lsn, found.branch, applied), resumed=True)


def _finish(checkout: Checkout, before: str, lsn: str, old: Branch, applied: Mapping[str, Applied]) -> WentBack:
    """Hold what was `applied` and is not any more, mark the environment, and give the runtime roles their passwords."""
    target = checkout.target
    opened = checkout.open_locked(roles=target.passwords)
    with opened.session as session:
        admit(target, opened)
        undone = [each for each in applied.values() if each.id not in opened.history.applied]
        told = _told(opened, old.name)
        due = [each for each in undone if each.id not in told]
        hold = held_sql(due, author_of(os.environ), old.name)
        created = "" if opened.history.exists else CREATE
        marked = marker_sql(target, opened.history, opened.identity)
        if created or hold or marked:
            session.run(f"BEGIN;{created}{hold}{marked}COMMIT")
        activated = _activate(checkout, target, opened) if target.passwords else ()
    return WentBack(
        View(session.shown_as, opened.identity, opened.history),
        before,
        lsn,
        old,
        tuple(sorted(each.id for each in undone if each in due or each.id in opened.history.held)),
        activated=activated,
        passwords_unseen=_unseen(checkout, opened, before),
    )


def _activate(checkout: Checkout, target: Target, opened: Opened) -> tuple[str, ...]:
    """Give the runtime roles the stack's passwords, as a deploy does; those that a later migration makes are left to that."""
    names = ", ".join(map(literal, target.passwords))
    rows = opened.session.run(f"SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ({names})")[0].rows
    there = {role: target.passwords[role] for (role,) in rows if role is not None}
    present = replace(target, passwords=there)
    return activate(opened.session, checkout.url, present, opened.history, opened.facts, checkout.observer).passwords


def _told(opened: Opened, old_state: str) -> set[str]:
    """What a killed run of this very restore has held already, and what somebody may have released since.

    The state that came back has the rows of earlier restores as well, which say nothing of this one.
    """
    if not opened.history.exists:
        return set()
    entries = parse_log(opened.session.run(READ_LOG)[0].rows)
    return {each.id for each in entries if each.operation == HELD and each.kept == old_state}


def _unseen(checkout: Checkout, opened: Opened, before: str) -> str:
    """What to run where no stack said the roles' passwords; a deploy would stop at what is held."""
    if not passwords_unseen(checkout.target, opened.history, opened.identity):
        return ""
    roles = ", ".join(sorted({each.role for each in opened.history.passwords}))
    return (
        f"DATABASE_URL is set, so no stack was asked for the passwords of {roles}. If they were rotated since: "
        f"`env -u DATABASE_URL ./inv restore --env {checkout.environment.name} --before {number_of(before)} --in-place`"
    )


def _is_behind(each: Applied, migration: Applied) -> bool:
    """Whether the moment before a migration has not the other one: by the position in the log, else by when it was applied."""
    if each.lsn:
        return _position(each.lsn) >= _position(migration.lsn)
    if each.applied_at is None or migration.applied_at is None:
        return each.id >= migration.id
    return each.applied_at >= migration.applied_at


def _position(lsn: str) -> int:
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


@contextmanager
def _locked(checkout: Checkout) -> Iterator[Opened]:
    """The deploy's lock, so that nobody deploys while somebody makes up their mind. The restore itself cuts its session.

    Raises:
        Refused: another deploy has it.
    """
    try:
        opened = checkout.open_locked(deadlines=Deadlines(lock=0.0))
    except TimedOut as error:
        raise Refused(f"another deploy is at work: {error.message}", remedy=error.remedy) from error
    with opened.session as session:
        session.run(
            "SET idle_session_timeout = 0"
        )  # tables are compared meanwhile, and somebody reads what will be lost
        yield opened
