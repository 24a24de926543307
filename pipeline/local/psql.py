"""`psql`: the client of the machine, or the one of the embedded server, on an environment."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.environments import LOCAL, resolve
from pipeline.errors import ConfigurationError
from pipeline.postgres.binaries import find_binary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pipeline.environments import Environment

_READ_ONLY = "-c default_transaction_read_only=on"


@dataclass(frozen=True, slots=True)
class Command:
    """A program to start: `arguments` are for everyone to see in the list of processes, `secrets` are not."""

    arguments: tuple[str, ...]
    secrets: Mapping[str, str] = field(repr=False)


def psql(root: Path, name: str | None, arguments: Sequence[str] = (), *, tell: Callable[[str], None]) -> int:
    """Run psql on an environment, on our terminal, with more arguments of its own, and give its exit code.

    Anything but the local database is opened with transactions that are read-only unless one says otherwise; so is one on
    loopback that nothing marks as local, since it may be the end of a tunnel.

    Raises:
        ConfigurationError, NotLocal, DatabaseFailed: as `resolve`, or a server that is not local after all.
    """
    environment = resolve(name, root=root, tell=tell)
    read_only = name != LOCAL or not _is_ours(root, environment)
    if read_only and name == LOCAL:
        tell("nothing says that this database is local: read-only (`./inv migrate` asks about it, and marks it)")
    command = command_for(environment, _program(), arguments, read_only=read_only)
    return subprocess.run(command.arguments, env={**os.environ, **command.secrets}, check=False).returncode


def command_for(environment: Environment, program: Path, arguments: Sequence[str], *, read_only: bool) -> Command:
    """Give the command line. The password is in the environment: argv is visible to every user of the machine."""
    url = environment.url.direct()  # a pooler takes no settings at the start
    if read_only:
        url = url.copy_merge_params({"options": " ".join(filter(None, [url.get("options"), _READ_ONLY]))})
    password = url.password
    shown = url.copy_with(password=None).copy_merge_params({"sslpassword": None})
    secrets = {} if password is None else {"PGPASSWORD": password}
    return Command((str(program), "--dbname", shown.for_psycopg().dsn, *arguments), secrets)


def _is_ours(root: Path, environment: Environment) -> bool:
    from pipeline.deploy.checkout import claim_of
    from pipeline.local.server_identity import is_claimed

    return is_claimed(environment, claim_of(root, environment, "psql"))


def _program() -> Path:
    try:
        return find_binary("psql", embedded=False)
    except ConfigurationError:
        return find_binary("psql")
