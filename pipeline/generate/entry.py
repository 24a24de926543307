"""The flows on a checkout: what the verbs call."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from dbclient.errors import InvalidDatabaseURL
from dbclient.url import DatabaseURL
from pipeline import packages
from pipeline.deploy import inspect_server
from pipeline.deploy.checkout import claim_of, deploy, record
from pipeline.deploy.signals import as_exceptions
from pipeline.deploy.switching import refuse_another_branch
from pipeline.environments import LOCAL
from pipeline.environments.completing import completed
from pipeline.errors import ConfigurationError
from pipeline.generate import Workbench
from pipeline.generate.drift import compare
from pipeline.generate.generating import generate, generate_empty
from pipeline.generate.pushing import push
from pipeline.generate.verifying import verify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.deploy.checkout import Checkout
    from pipeline.generate.drift import Comparison
    from pipeline.generate.expanding.requests import Request
    from pipeline.generate.generating import Generated
    from pipeline.generate.proposals import Wishes
    from pipeline.generate.pushing import Pushed
    from pipeline.generate.verifying import Verified
    from pipeline.schema.documented import Documented

SHADOW_DATABASE_URL = "SHADOW_DATABASE_URL"


def migrate_by_name(checkout: Checkout, name: str, wishes: Wishes) -> Generated:
    """Generate a migration from the edited schema.sql and apply it locally. Raises what `generate` and `deploy` raise."""
    workbench = _ready(checkout)
    with as_exceptions():
        run, recorder = partial(deploy, checkout), partial(record, checkout)
        return generate(name, workbench, wishes, run=run, record=recorder)


def expand_by_name(checkout: Checkout, name: str, request: Request, *, dry_run: bool = False) -> Generated:
    """Make a column stand double, and apply that locally. Raises what `expand` and `deploy` raise."""
    from pipeline.generate.expanding.expand import expand

    workbench = _ready(checkout)
    with as_exceptions():
        return expand(name, workbench, request, run=partial(deploy, checkout), dry_run=dry_run)


def contract_by_name(checkout: Checkout, name: str, column: str, *, dry_run: bool = False) -> Generated:
    """Take the old column of an expansion away, and apply that locally. Raises what `contract` and `deploy` raise."""
    from pipeline.generate.expanding.contract import contract
    from pipeline.generate.expanding.requests import column_named

    table, old = column_named(column, "--contract")
    workbench = _ready(checkout)
    with as_exceptions():
        return contract(name, workbench, table, old, run=partial(deploy, checkout), dry_run=dry_run)


def _ready(checkout: Checkout) -> Workbench:
    """Where to work, once the local database is known to be of this branch, and the linter is there, which is asked first."""
    view = inspect_server(checkout.url, target=checkout.target)
    workbench = Workbench(checkout.root, checkout.url, _shadow())
    if workbench.migrations.is_dir():  # git keeps no empty folder
        refuse_another_branch(checkout.folder(), view.history.applied, view.kept)
    try:
        packages.ensure("check")  # its linter is asked before anything is written
    except ConfigurationError as error:
        checkout.observer.note(f"{error.message}: `./inv check` may ask about what is written now")
    checkout.observer.working("proving the migration on copies of the database")
    return workbench


def write_empty(checkout: Checkout, name: str, *, hotfix: bool = False) -> tuple[Path, ...]:
    """Write a draft to be filled in by hand. Raises what `generate_empty` raises."""
    return generate_empty(name, _workbench(_unclaimed(checkout)), hotfix=hotfix)


def verify_here(checkout: Checkout, ids: Sequence[str]) -> Verified:
    """Prove what was finished by hand. Raises what `verify` raises."""
    workbench = proving_workbench(checkout)
    with as_exceptions():
        return verify(workbench, ids)


def push_here(checkout: Checkout, *, allow_destructive: bool, dry_run: bool = False) -> Pushed:
    """Put schema.sql onto the local database; with `dry_run`, say what that would run. Raises what `push` raises."""
    workbench = _workbench(checkout)
    with as_exceptions():
        return push(workbench, allow_destructive=allow_destructive, dry_run=dry_run)


def diff(checkout: Checkout) -> Comparison:
    """Compare an environment with its history; the shadow is made locally. Raises what `compare` raises."""
    with as_exceptions():
        return compare(checkout.url, _shadow_workbench(checkout), target=checkout.target, observer=checkout.observer)


def document_here(checkout: Checkout) -> Documented:
    """Tell what the checkout's migrations build, in a shadow database. Raises what `document` and `proving_workbench` raise."""
    from pipeline.schema.documented import document
    from pipeline.schema.shadows import open_shadows

    folder, workbench = checkout.folder(), proving_workbench(checkout)
    with as_exceptions(), open_shadows(workbench.local, workbench.shadow) as shadows:
        return document(shadows.create("docs"), folder, tell=checkout.observer.working)


def proving_workbench(checkout: Checkout) -> Workbench:
    """Say where to work: the checkout, the local database, and SHADOW_DATABASE_URL if that is set.

    The server is asked who it is before anything is made on it: through a tunnel any server looks local. Shadows need the
    mark of a local database as well: roles belong to the whole server, and a migration in a shadow may alter one.

    Raises:
        NotLocal: it is a Neon compute, or marked as another environment, or nothing says that it is local.
        ConfigurationError: SHADOW_DATABASE_URL cannot be read.
    """
    return _workbench(checkout if _shadow() is None else _unclaimed(checkout))


def _unclaimed(checkout: Checkout) -> Checkout:
    """The checkout for a verb that writes nothing to the local database, which may be without a mark then."""
    return replace(checkout, target=replace(checkout.target, claim=None))


def _workbench(checkout: Checkout) -> Workbench:
    inspect_server(checkout.url, target=checkout.target)
    return Workbench(checkout.root, checkout.url, _shadow())


def _shadow_workbench(checkout: Checkout) -> Workbench:
    """Say where to make shadows for a look at another environment: SHADOW_DATABASE_URL, else the local server.

    DATABASE_URL names the environment that is looked at, so the local server is found as if it were not set. An address
    on loopback does not make it local: it may be the end of a tunnel.
    """
    root, environment, shadow = checkout.root, checkout.environment, _shadow()
    if shadow is not None:
        return Workbench(root, shadow, shadow)
    from pipeline.local.server_identity import is_claimed

    if environment.name == LOCAL and is_claimed(environment, claim_of(root, environment, checkout.verb)):
        return Workbench(root, checkout.url)
    from pipeline.environments.local import LocalServers

    return Workbench(root, LocalServers(root, tell=checkout.observer.note).start().url)


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
