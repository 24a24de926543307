"""Which database a verb works on: `local`, or one that a Pulumi stack or DATABASE_URL names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.environments.completing import with_its_own_port
from pipeline.environments.variables import DATABASE_URL, load_env_file, read_database_url
from pipeline.errors import ConfigurationError, NotLocal

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbclient.url import DatabaseURL
    from pipeline.environments.stack import StackOutputs

LOCAL = "local"
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Environment:
    """A database and how it was found.

    `name` is None for a bare DATABASE_URL. `source` says for people where the URL comes from. `expected` holds the
    stack's outputs when they were read, which say which server it has to be. `own`: it is the server of this checkout,
    which was asked for its address.
    """

    name: str | None
    url: DatabaseURL
    source: str
    expected: StackOutputs | None = None
    own: bool = False

    @property
    def is_local(self) -> bool:
        """Whether the address is this machine's, or the Compose service's name as seen from a container beside it."""
        if self.url.is_local:
            return True
        from pipeline.postgres.compose import SERVICE

        return self.url.host == SERVICE and self.url.get("hostaddr") is None


def resolve(
    name: str | None,
    *,
    root: Path = ROOT,
    tell: Callable[[str], None] = lambda _: None,
    or_local: bool = False,
) -> Environment:
    """Give the database of an environment. Nothing connects to it yet.

    `local` is DATABASE_URL when that is set, else the server of Docker Compose, else the embedded one, which is started
    when it is down; with LOCAL_PER_BRANCH its database of the git branch. `tell` hears of that. Any other name is
    DATABASE_URL when it is set, else the stack of that name. None is the bare DATABASE_URL;
    `or_local`: the local environment where that is not set.

    Raises:
        ConfigurationError: there is no such environment, or what describes it cannot be used.
        NotLocal: `local` was asked for, and DATABASE_URL is another machine's.
        DatabaseFailed: the local server does not start.
    """
    from_file = load_env_file(root)
    url = read_database_url()
    if url is not None:
        source = f"{DATABASE_URL} in .env" if DATABASE_URL in from_file else DATABASE_URL
        environment = Environment(name, url, source)
        if name == LOCAL and not environment.is_local:
            raise NotLocal(
                f"{source} leads to {url.host or 'no host that it names'}, which is not local",
                remedy="Nothing was changed. Unset it for the local database, or name that environment: "
                "`./inv deploy --env NAME`, `./inv plan --env NAME`.",
            )
        return environment
    if name != LOCAL and DATABASE_URL in os.environ and DATABASE_URL not in from_file:
        # what CI makes of a secret that is not there; an empty line of .env is a template's
        raise ConfigurationError(
            f"{DATABASE_URL} is set, and empty",
            remedy="In CI: the secret that it is taken from is not there, so look for its name and its environment in the "
            "repository's settings. Elsewhere: unset DATABASE_URL, and the stack's own is taken.",
        )
    if name is None and or_local:
        name = LOCAL
    if name is None:
        raise ConfigurationError(
            "no environment was named, and DATABASE_URL is not set",
            remedy="Say --env dev, --env prod or --env local, or set DATABASE_URL.",
        )
    if name == LOCAL:
        return own_local(root, tell=tell)
    from pipeline.environments.stack import read_stack

    outputs = read_stack(name, root)
    url = with_its_own_port(outputs.database_url, os.environ)
    return Environment(name, url, f"the Pulumi stack {name}", outputs)


def own_local(root: Path, *, tell: Callable[[str], None] = lambda _: None) -> Environment:
    """Give the local database of this checkout's own server, whatever DATABASE_URL says.

    Raises:
        ConfigurationError, DatabaseFailed: there is no server, or it does not start.
    """
    from pipeline.environments.local import LocalServers
    from pipeline.environments.per_branch import database_of_branch, is_wanted

    found = LocalServers(root, tell=tell).start()
    url = database_of_branch(root, found.url, tell) if is_wanted() else found.url
    return Environment(LOCAL, url, found.source, own=True)
