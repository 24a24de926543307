"""What every flow is called with: a checkout's files, and the environment that a verb is to work on with them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from pipeline.deploy import apply
from pipeline.deploy.authorship import author_of_committed, author_on_local
from pipeline.deploy.claim import Claim, nobody
from pipeline.deploy.locking import Deadlines, open_locked
from pipeline.deploy.observer import Observer
from pipeline.deploy.rehearsed import Evidence
from pipeline.deploy.signals import as_exceptions
from pipeline.deploy.target import Target, admit, marker_sql
from pipeline.environments import LOCAL, resolve
from pipeline.environments.guard import require_local
from pipeline.history.record import baseline_sql
from pipeline.history.tables import CREATE
from pipeline.migrations import raise_faults, read_folder
from pipeline.migrations.plan import make_plan
from pipeline.postgres.lock import APPLICATION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.deploy import Keep, Report
    from pipeline.deploy.locking import Opened
    from pipeline.environments import Environment
    from pipeline.history.record import Author
    from pipeline.kept_points import KeptPoint
    from pipeline.migrations import Folder, MigrationFile
    from pipeline.postgres.session import Session

    Ask = Callable[[str], str | None]


BACKFILL_SECONDS = 60.0


@dataclass(frozen=True)
class Checkout:
    """A checkout at `root`, and the environment that `verb` is to work on.

    `target` says which server has to answer there, and for a verb that writes to the local database what marks it as local.
    `uncommitted`: also files that are not those of the commit that is checked out.
    """

    root: Path
    environment: Environment
    target: Target
    verb: str
    observer: Observer = Observer()
    uncommitted: bool = False

    @property
    def url(self) -> DatabaseURL:
        """The environment's database."""
        return self.environment.url

    def folder(self) -> Folder:
        """Read the migrations as they are now."""
        return read_folder(self.root / "migrations")

    def open_locked(self, *, roles: Iterable[str] = (), deadlines: Deadlines | None = None) -> Opened:
        """Connect under the verb's name, get the deploy's lock, and read the history. Raises what `locking.open_locked` does."""
        return open_locked(
            self.url,
            application=f"{APPLICATION} {self.verb}",
            deadlines=deadlines or Deadlines(),
            observer=self.observer,
            roles=roles,
        )

    def author(self, folder: Folder) -> Author:
        """Ask git who the author is: on any environment but the local one, of committed files only.

        Raises what `author_of_committed` raises.
        """
        if self.environment.name == LOCAL:
            return author_on_local(folder, os.environ)
        return author_of_committed(folder, os.environ, uncommitted=self.uncommitted)


def open_checkout(
    root: Path,
    name: str | None,
    verb: str,
    *,
    observer: Observer | None = None,
    ask: Ask | None = None,
    uncommitted: bool = False,
    or_local: bool = False,
) -> Checkout:
    """Give the checkout at `root` for an environment (None: the bare DATABASE_URL). Nothing connects to it yet.

    `or_local`: for the local environment where none is named and DATABASE_URL is not set.

    `ask`, for a verb that writes, is asked about a local database without a mark. Raises what `resolve` raises.
    """
    observer = observer or Observer()
    environment = resolve(name, root=root, tell=observer.note, or_local=or_local)
    claim = None if ask is None or name != LOCAL else claim_of(root, environment, verb, ask)
    return Checkout(root, environment, _target_of(environment, claim), verb, observer, uncommitted)


def local_checkout(root: Path, verb: str, *, observer: Observer | None = None, ask: Ask = nobody) -> Checkout:
    """Give it for a verb that works on the local database alone. Raises what `resolve` raises, and NotLocal."""
    checkout = open_checkout(root, LOCAL, verb, observer=observer, ask=ask)
    require_local(checkout.environment, verb)
    return checkout


def claim_of(root: Path, environment: Environment, verb: str, ask: Ask = nobody) -> Claim:
    """The claim of a verb on the local database, which asks the same thing once."""

    def is_own(session: Session) -> bool:
        if environment.own:
            return True
        from pipeline.environments.local import LocalServers

        return LocalServers(root).serve(*session.peer)

    return Claim(verb, is_own, cache(ask))


def deploy(
    checkout: Checkout,
    folder: Folder | None = None,
    *,
    lock_wait: float | None = None,
    backfill_seconds: float = BACKFILL_SECONDS,
    receipt: Path | None = None,
    without_rehearsal: str = "",
) -> Report:
    """Apply what is pending of the checkout's migrations, or of another `folder`, to its environment.

    `lock_wait` is how long, in seconds, another deploy is waited for; `backfill_seconds` how long each batched file is worked on:
    a local database is not left half done. `receipt` is the file of a rehearsal's, None for the one that `rehearse` wrote, and
    `without_rehearsal` why pending files go without one. Raises what `apply` and `Checkout.author` raise.
    """
    files = folder or checkout.folder()
    evidence = Evidence(checkout.root, receipt, without_rehearsal)
    with as_exceptions():
        return apply(
            checkout.url,
            files,
            target=replace(checkout.target, permit=evidence.permit),
            author=lambda: checkout.author(files),
            deadlines=Deadlines() if lock_wait is None else Deadlines(lock=lock_wait),
            observer=checkout.observer,
            verb=checkout.verb,
            backfill_seconds=None if checkout.target.local_only else backfill_seconds,
            keep=_keeper(checkout, evidence),
        )


def record(checkout: Checkout, folder: Folder) -> tuple[str, ...]:
    """Record what is pending of the folder as applied, and run nothing: somebody has proven that the database is as it builds it.

    Returns the ids, in order. Raises what `deploy` raises.
    """
    author = checkout.author(folder)
    opened = checkout.open_locked()
    with opened.session as session:
        history, target = opened.history, checkout.target
        admit(target, opened)
        plan = make_plan(folder, history.applied)
        raise_faults(plan.faults)
        created = "" if history.exists else CREATE
        marked = marker_sql(target, history, opened.identity)
        session.run(f"BEGIN;{created}{baseline_sql(plan.pending, (), author)}{marked}COMMIT")
        if target.local_only:
            from pipeline.history.kept import keep_texts

            keep_texts(session, folder, history.applied)
    return tuple(file.id for file in plan.pending)


def _keeper(checkout: Checkout, evidence: Evidence) -> Keep | None:
    """What keeps the state of the environment before a deploy that destroys something, where that asks for it."""
    name = checkout.environment.name or ""
    if name in {"", LOCAL}:
        return None

    def keep(opened: Opened, folder: Folder, pending: Sequence[MigrationFile]) -> KeptPoint | None:
        from pipeline.deploy.keeping import Keeper  # only deploys with something to do pay for it

        return Keeper(checkout.root, name, checkout.observer, evidence.destroyed)(opened, folder, pending)

    return keep


def _target_of(environment: Environment, claim: Claim | None) -> Target:
    """What the environment says of its server: the stack's ids and passwords, or its name alone for a bare URL."""
    name = environment.name or ""
    if name == LOCAL:
        return Target(LOCAL, local_only=True, claim=claim)
    stack = environment.expected
    if stack is None:
        return Target(name)
    passwords = {role: url.password or "" for role, url in stack.service_urls.items()}
    return Target(name, stack.project_id, stack.branch_id, passwords=passwords)
