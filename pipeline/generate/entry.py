"""The flows by the name of an environment: what the verbs call."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from chatdb.errors import InvalidDatabaseURL
from chatdb.url import DatabaseURL
from pipeline import packages
from pipeline.deploy import apply, look
from pipeline.deploy.authorship import author_on_local
from pipeline.deploy.claim import nobody
from pipeline.deploy.entry import local, local_claim, local_target, target_of
from pipeline.deploy.signals import as_exceptions
from pipeline.deploy.target import Target
from pipeline.environments import LOCAL, resolve
from pipeline.environments.completing import completed
from pipeline.errors import ConfigurationError
from pipeline.generate.drift import compare
from pipeline.generate.generating import generate, generate_empty
from pipeline.generate.place import Place
from pipeline.generate.pushing import push
from pipeline.generate.verifying import verify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.deploy import Report
    from pipeline.deploy.entry import Ask
    from pipeline.deploy.observer import Observer
    from pipeline.environments import Environment
    from pipeline.generate.drift import Comparison
    from pipeline.generate.generating import Generated
    from pipeline.generate.proposals.proposing import Wishes
    from pipeline.generate.pushing import Pushed
    from pipeline.generate.verifying import Verified
    from pipeline.migrations import Folder

SHADOW_DATABASE_URL = "SHADOW_DATABASE_URL"


def migrate_by_name(
    root: Path, name: str, wishes: Wishes, *, observer: Observer, ask: Ask = nobody
) -> tuple[Environment, Generated]:
    """Generate a migration from the edited schema.sql and apply it locally. Raises what `generate` and `resolve` raise."""
    environment = local(root, "migrate", observer)
    target = local_target(root, environment, "migrate", ask)
    place = _place(root, environment, target)
    try:
        packages.ensure("check")  # its linter is asked before anything is written
    except ConfigurationError as error:
        observer.note(f"{error.message}: `./inv check` may ask about what is written now")

    def run(folder: Folder) -> Report:
        return apply(
            environment.url,
            folder,
            target=target,
            author=lambda: author_on_local(folder, os.environ),
            observer=observer,
            verb="migrate",
        )

    with as_exceptions():
        return environment, generate(name, place, wishes, run=run)


def write_empty(root: Path, name: str, *, observer: Observer) -> tuple[Path, ...]:
    """Write a draft to be filled in by hand. Raises what `generate_empty` raises."""
    environment = local(root, "migrate", observer)
    return generate_empty(name, _place(root, environment, Target(LOCAL, local_only=True)))


def verify_here(root: Path, ids: Sequence[str], *, observer: Observer, ask: Ask = nobody) -> Verified:
    """Prove what was finished by hand. Raises what `verify` and `resolve` raise."""
    _, place = proving_place(root, "verify", observer, ask)
    with as_exceptions():
        return verify(place, ids)


def push_here(
    root: Path, *, allow_destructive: bool, observer: Observer, ask: Ask = nobody
) -> tuple[Environment, Pushed]:
    """Put schema.sql onto the local database. Raises what `push` and `resolve` raise."""
    environment = local(root, "push", observer)
    place = _place(root, environment, local_target(root, environment, "push", ask))
    with as_exceptions():
        return environment, push(place, allow_destructive=allow_destructive)


def diff(root: Path, name: str | None, *, observer: Observer) -> tuple[Environment, Comparison]:
    """Compare an environment with its history; the shadow is made locally. Raises what `compare` and `resolve` raise."""
    environment = resolve(name, root=root, tell=observer.note)
    with as_exceptions():
        return environment, compare(
            environment.url,
            shadow_place(root, environment, observer),
            target=target_of(environment),
            observer=observer,
        )


def proving_place(root: Path, verb: str, observer: Observer, ask: Ask) -> tuple[Environment, Place]:
    """Say where to work: the checkout, the local database, and SHADOW_DATABASE_URL if that is set.

    The server is asked who it is before anything is made on it: through a tunnel any server looks local. Shadows need the
    mark of a local database as well: roles belong to the whole server, and a migration in a shadow may alter one.

    Raises:
        NotLocal: it is a Neon compute, or marked as another environment, or nothing says that it is local.
        ConfigurationError: SHADOW_DATABASE_URL cannot be read.
    """
    environment = local(root, verb, observer)
    elsewhere = _shadow() is not None
    target = Target(LOCAL, local_only=True) if elsewhere else local_target(root, environment, verb, ask)
    return environment, _place(root, environment, target)


def _place(root: Path, environment: Environment, target: Target) -> Place:
    look(environment.url, target=target)
    return Place(root, environment.url, _shadow())


def shadow_place(root: Path, environment: Environment, observer: Observer) -> Place:
    """Say where to make shadows for a look at another environment: SHADOW_DATABASE_URL, else the local server.

    DATABASE_URL names the environment that is looked at, so the local server is found as if it were not set. An address
    on loopback does not make it local: it may be the end of a tunnel.
    """
    shadow = _shadow()
    if shadow is not None:
        return Place(root, shadow, shadow)
    from pipeline.local.server_identity import is_claimed

    if environment.name == LOCAL and is_claimed(environment, local_claim(root, environment, "diff", nobody)):
        return Place(root, environment.url)
    from pipeline.environments.local import LocalServers

    return Place(root, LocalServers(root, tell=observer.note).start().url)


def _shadow() -> DatabaseURL | None:
    text = os.environ.get(SHADOW_DATABASE_URL, "").strip()
    if not text:
        return None
    try:
        return completed(
            DatabaseURL.parse(text), os.environ
        ).direct()  # databases are made there, which a pooler does not know
    except InvalidDatabaseURL as error:
        raise ConfigurationError(f"{SHADOW_DATABASE_URL}: {error}", remedy="Correct it, or unset it.") from error
