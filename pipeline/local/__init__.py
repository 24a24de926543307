"""`up` and `down`: the local server, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.environments import LOCAL, resolve
from pipeline.environments.guard import require_local
from pipeline.environments.local import LocalServers
from pipeline.environments.variables import DATABASE_URL, load_env_file, read_database_url
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.environments import Environment


def up(root: Path, *, extensions: bool = False, tell: Callable[[str], None]) -> Environment:
    """Start the local server, unless it runs, and give its database. It may have no tables yet.

    With `extensions`, the embedded server gets PostgreSQL's own, TLS and ICU, which it keeps.

    Raises:
        NotLocal: DATABASE_URL is another machine's.
        ConfigurationError: no local server can be had.
        DatabaseFailed: it does not start.
    """
    if extensions:
        load_env_file(root)
        if read_database_url() is not None:
            raise UsageError(
                f"{DATABASE_URL} names the server, whose extensions are those of who started it",
                remedy=f"Unset {DATABASE_URL} to use the checkout's own.",
            )
        LocalServers(root, tell=tell).start_with_extensions()
    environment = resolve(LOCAL, root=root, tell=tell)
    require_local(environment, "up")
    return environment


def down(root: Path, *, tell: Callable[[str], None]) -> tuple[str, ...]:
    """Stop what runs of the checkout's servers, and name it. Data stays, and the next command starts it again.

    Raises:
        UsageError: the local database is one that DATABASE_URL names, which somebody else runs.
        DatabaseFailed: it does not stop.
    """
    load_env_file(root)
    stopped = LocalServers(root, tell=tell).stop()
    if not stopped and read_database_url() is not None:
        raise UsageError(
            f"nothing of this checkout runs: {DATABASE_URL} names a server that somebody else started",
            remedy=f"Stop it where it was started, or unset {DATABASE_URL} to use the checkout's own.",
        )
    return stopped
