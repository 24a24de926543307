"""The flows by the name of an environment: what the verbs call."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from pipeline.deploy import apply
from pipeline.deploy.authorship import author_of, author_of_committed, author_on_local
from pipeline.deploy.claim import Claim, nobody
from pipeline.deploy.locking import Deadlines
from pipeline.deploy.signals import as_exceptions
from pipeline.deploy.target import Target
from pipeline.environments import LOCAL, resolve
from pipeline.environments.guard import require_local
from pipeline.errors import Refused
from pipeline.migrations import read_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.deploy import Report
    from pipeline.deploy.observer import Observer
    from pipeline.deploy.survey import Survey
    from pipeline.environments import Environment
    from pipeline.history.record import Author
    from pipeline.migrations import Folder
    from pipeline.postgres.session import Session

    Ask = Callable[[str], str | None]


def deploy(
    root: Path,
    name: str | None,
    *,
    observer: Observer,
    lock_wait: float | None = None,
    ask: Ask = nobody,
    uncommitted: bool = False,
) -> tuple[Environment, Report]:
    """Apply the committed migrations of the checkout at `root` to an environment (None: the bare DATABASE_URL).

    `lock_wait` is how long, in seconds, another deploy is waited for; `ask` is asked about a local database without a
    mark; `uncommitted` files are refused otherwise. Raises what `apply`, `author_of_committed` and `resolve` raise.
    """
    environment = resolve(name, root=root, tell=observer.note)
    target = local_target(root, environment, "deploy", ask) if name == LOCAL else target_of(environment)
    folder = read_folder(root / "migrations")
    author = author_by_environment(folder, environment, uncommitted=uncommitted)
    return environment, _apply(folder, environment, target, author, observer, lock_wait, "deploy")


def migrate(
    root: Path, *, observer: Observer, lock_wait: float | None = None, ask: Ask = nobody
) -> tuple[Environment, Report]:
    """Apply what is pending to the local database, which is started when it is down. Raises what `apply` and `resolve` raise."""
    environment = local(root, "migrate", observer)
    target = local_target(root, environment, "migrate", ask)
    folder = read_folder(root / "migrations")
    author = author_by_environment(folder, environment)
    return environment, _apply(folder, environment, target, author, observer, lock_wait, "migrate")


def roll_back(root: Path, to: str, *, observer: Observer, ask: Ask = nobody) -> tuple[Environment, Report]:
    """Roll the local database back to a migration. Raises what `rollback` and `resolve` raise."""
    from pipeline.deploy.rolling_back import rollback

    environment = local(root, "rollback", observer)
    with as_exceptions():
        report = rollback(
            environment.url,
            read_folder(root / "migrations"),
            to=to,
            target=local_target(root, environment, "rollback", ask),
            author=lambda: author_of(os.environ),
            observer=observer,
        )
    return environment, report


def look_at(root: Path, name: str | None, *, observer: Observer, log_in: bool = False) -> tuple[Environment, Survey]:
    """What `plan` and `status` show of an environment. Raises what `survey` and `resolve` raise.

    `log_in`: also whether the runtime roles take the stack's passwords, where there is a stack.
    """
    from pipeline.deploy.survey import survey

    environment = resolve(name, root=root, tell=observer.note)
    folder = read_folder(root / "migrations")
    target = target_of(environment)
    seen = survey(environment.url, folder, target=target, observer=observer, log_in=log_in)
    if seen.plan.pending:
        try:
            author_by_environment(folder, environment)()
        except Refused as refused:
            seen = replace(seen, uncommitted=refused.message)
    return environment, seen


def local(root: Path, verb: str, observer: Observer) -> Environment:
    """The local database, for a verb that works nowhere else. Raises what `resolve` raises, and NotLocal."""
    environment = resolve(LOCAL, root=root, tell=observer.note)
    require_local(environment, verb)
    return environment


def local_target(root: Path, environment: Environment, verb: str, ask: Ask) -> Target:
    """What a verb that writes to the local database asks of it: not another environment's, and with a mark of its own."""
    return Target(LOCAL, local_only=True, claim=local_claim(root, environment, verb, ask))


def local_claim(root: Path, environment: Environment, verb: str, ask: Ask) -> Claim:
    """The claim of a verb on the local database, which asks the same thing once."""

    def is_own(session: Session) -> bool:
        if environment.own:
            return True
        from pipeline.environments.local import LocalServers

        return LocalServers(root).serve(*session.peer)

    return Claim(verb, is_own, cache(ask))


def target_of(environment: Environment) -> Target:
    """What the environment says of its server: the stack's ids and passwords, or its name alone for a bare URL."""
    name = environment.name or ""
    if name == LOCAL:
        return Target(environment=name, local_only=True)
    stack = environment.expected
    if stack is None:
        return Target(environment=name)
    passwords = {role: url.password or "" for role, url in stack.service_urls.items()}
    return Target(name, stack.project_id, stack.branch_id, passwords=passwords)


def author_by_environment(
    folder: Folder, environment: Environment, *, uncommitted: bool = False
) -> Callable[[], Author]:
    """What asks git who the author is, once it is needed: on any environment but the local one, of committed files only."""
    if environment.name == LOCAL:
        return lambda: author_on_local(folder, os.environ)
    return lambda: author_of_committed(folder, os.environ, uncommitted=uncommitted)


def _apply(
    folder: Folder,
    environment: Environment,
    target: Target,
    author: Callable[[], Author],
    observer: Observer,
    lock_wait: float | None,
    verb: str,
) -> Report:
    with as_exceptions():
        return apply(
            environment.url,
            folder,
            target=target,
            author=author,
            deadlines=Deadlines() if lock_wait is None else Deadlines(lock=lock_wait),
            observer=observer,
            verb=verb,
        )
