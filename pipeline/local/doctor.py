"""`doctor`: what this machine has, and what each thing is needed for. It changes nothing and starts nothing."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pipeline import packages
from pipeline.environments.local import LocalServers
from pipeline.environments.variables import DATABASE_URL, load_env_file, read_database_url
from pipeline.errors import ConfigurationError

_ASK_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked for: whether it is there, what was found, and what it is needed for."""

    name: str
    present: bool
    found: str
    needed_for: str


def doctor(root: Path) -> tuple[Finding, ...]:
    """Look for everything. A thing that is absent is a finding and not an error: most are needed by some verbs only."""
    load_env_file(root)
    return (
        _python(),
        _packages(root),
        _program("Docker", "the local server and the tests' one; without it an embedded server is used", "docker",
                 "version", "--format", "{{.Server.Version}}", otherwise="the engine does not answer"),
        _program("Docker Compose", "the local server in Docker", "docker", "compose", "version", "--short"),
        _program("psql", "`./inv psql`; without it the embedded server's is used", "psql", "--version"),
        _program("pulumi", "`pulumi up`, and the URLs of dev and prod without DATABASE_URL", "pulumi", "version"),
        _program("Node.js", "`./inv migrate --name`; without it a copy is installed then", "node", "--version"),
        _local_database(root),
    )  # fmt: skip


def _python() -> Finding:
    return Finding("Python", True, f"{platform.python_version()} at {sys.executable}", "everything")


def _packages(root: Path) -> Finding:
    environment = Path(sys.prefix)
    locks = [packages.REQUIREMENTS, *sorted((root / "locks").glob("*.lock"))]
    installed = [lock.stem for lock in locks if packages.is_installed(environment, lock)]
    later = [lock.stem for lock in locks if lock.stem not in installed]
    text = f"installed: {', '.join(installed) or 'none by ./inv'}"
    if later:
        text += f"; when first needed: {', '.join(later)}"
    return Finding("Packages", bool(installed), text, "everything; each lock is installed by the verb that needs it")


def _program(name: str, needed_for: str, *command: str, otherwise: str = "does not run") -> Finding:
    where = shutil.which(command[0])
    if where is None:
        return Finding(name, False, f"no {command[0]} on PATH", needed_for)
    try:
        done = subprocess.run(
            [where, *command[1:]],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ASK_SECONDS, check=False,
        )  # fmt: skip
    except (subprocess.TimeoutExpired, OSError):
        return Finding(name, False, f"{where} {otherwise}", needed_for)
    said = done.stdout.strip().splitlines()
    if done.returncode != 0 or not said:
        return Finding(name, False, f"{where} {otherwise}", needed_for)
    return Finding(name, True, f"{said[0]} at {where}", needed_for)


def _local_database(root: Path) -> Finding:
    needed_for = "`./inv migrate` and every other local verb"
    for find in (_from_url, _from_servers):
        try:
            found = find(root)
        except ConfigurationError as error:
            return Finding("Local database", False, error.message, needed_for)
        if found is not None:
            return Finding("Local database", *found, needed_for)
    raise AssertionError("the servers always have an answer")


def _from_url(_: Path) -> tuple[bool, str] | None:
    url = read_database_url()
    if url is None:
        return None
    from pipeline.environments import Environment

    if Environment(None, url, DATABASE_URL).is_local:
        return True, f"{url.masked()} ({DATABASE_URL})"
    return False, f"{DATABASE_URL} leads to {url.host}, which is not local: local verbs are refused"


def _from_servers(root: Path) -> tuple[bool, str]:
    servers = LocalServers(root)
    found = servers.running()
    if found is not None:
        return True, f"{found.url.masked()} ({found.source}, running)"
    return True, f"{servers.next()}, started by the next local verb"
