"""What a Pulumi stack says of its environment, and the .env lines of the services that use it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from dbclient.url import DatabaseURL, InvalidDatabaseURL
from pipeline.environments.clients import render
from pipeline.errors import ConfigurationError
from services import SERVICES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from services import Service

_IDS: Final = ("project_id", "branch_id", "branch_name", "endpoint_id", "endpoint_host")
SECONDS: Final = 60  # a state backend that does not answer by then is taken for lost

_INSTALL = (
    "Install it (https://www.pulumi.com/docs/iac/download-install/), or set DATABASE_URL to the environment's database."
)


@dataclass(frozen=True, slots=True)
class StackOutputs:
    """The outputs of one stack. The URLs mask their passwords in every repr.

    `database_url` is direct, as the owner: for deploys. `service_urls`, by role, go through the pooler.
    """

    environment: str
    database_url: DatabaseURL
    service_urls: Mapping[str, DatabaseURL]
    project_id: str
    branch_id: str
    branch_name: str
    endpoint_id: str
    endpoint_host: str


def read_stack(name: str, root: Path) -> StackOutputs:
    """Read the outputs of the stack `name` of the Pulumi project at `root`, passwords included.

    Raises ConfigurationError, with what to do: pulumi is not there, nobody is logged in, there is no such stack, its
    passphrase is missing or wrong, or `pulumi up` has not finished on it.
    """
    try:
        outputs = _ask_pulumi(name, root)
    except ConfigurationError as error:
        raise _misspelt(name, root, error) or error from None
    wanted = {"database_url", *_IDS, *(service.url_output for service in SERVICES)}
    missing = sorted(key for key in wanted if not outputs.get(key))
    if missing:
        raise _unfinished(name, missing)
    try:
        database_url = DatabaseURL.parse(outputs["database_url"])
        service_urls = {service.role: DatabaseURL.parse(outputs[service.url_output]) for service in SERVICES}
    except InvalidDatabaseURL as fault:
        raise ConfigurationError(
            f"an output of the stack {name} is no connection string: {fault}", remedy=f"Run: pulumi up --stack {name}"
        ) from None
    return StackOutputs(name, database_url, service_urls, **{key: outputs[key] for key in _IDS})


def read_stack_ids(name: str, root: Path) -> tuple[str, str]:
    """Read the ids of the stack's project and branch alone: no connection string leaves the state.

    Raises what `read_stack` raises.
    """
    try:
        outputs = _ask_pulumi(name, root, secrets=False)
    except ConfigurationError as error:
        raise _misspelt(name, root, error) or error from None
    if missing := [key for key in ("project_id", "branch_id") if not outputs.get(key)]:
        raise _unfinished(name, missing)
    return outputs["project_id"], outputs["branch_id"]


def service_lines(outputs: StackOutputs, service: Service) -> list[str]:
    """Return the .env lines that a service needs. They hold its password.

    The URL is the pooled one in the form that the service's client takes, and nothing here can migrate.
    """
    url = render(outputs.service_urls[service.role], service.client).dsn
    return [
        f"# {service.name} on {outputs.environment}: branch {outputs.branch_name}, pooled, as its own role",
        f'DATABASE_URL="{url}"',
    ]


def _unfinished(name: str, missing: Sequence[str]) -> ConfigurationError:
    return ConfigurationError(
        f"the stack {name} has no output {', '.join(missing)}",
        remedy=f"Its infrastructure is not (wholly) made. Run: pulumi up --stack {name}",
    )


def _ask_pulumi(name: str, root: Path, *, secrets: bool = True) -> dict[str, str]:
    shown = ["--show-secrets"] if secrets else []
    command = ["pulumi", "stack", "output", "--json", *shown, "--non-interactive", "--stack", name]
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise ConfigurationError(
            f"the environment {name} is a Pulumi stack, and pulumi is not on PATH", remedy=_INSTALL
        ) from None
    except subprocess.TimeoutExpired:
        raise ConfigurationError(
            f"pulumi did not give the outputs of the stack {name} within {SECONDS} s",
            remedy="Is the state backend reachable? Try: pulumi whoami --verbose",
        ) from None
    if done.returncode != 0:
        raise _explain(name, done.stderr.strip())
    try:
        outputs = json.loads(done.stdout)
    except ValueError:  # what it printed may hold a password, so it is not shown
        raise ConfigurationError(f"pulumi gave something else than JSON for the stack {name}") from None
    return {key: value for key, value in outputs.items() if isinstance(value, str)}


# What pulumi 3.259 writes on standard error, in lower case, and what to do about it.
_REMEDIES: Final = (
    (
        ("no stack named", "fully qualified name"),
        "there is no Pulumi stack {name}",
        "See those that are there: pulumi stack ls. Make it: pulumi stack init {name}, Pulumi.{name}.yaml, pulumi up.",
    ),
    (
        ("incorrect passphrase",),
        "the passphrase of the Pulumi stack {name} is wrong",
        "Set PULUMI_CONFIG_PASSPHRASE (or PULUMI_CONFIG_PASSPHRASE_FILE) to the stack's own.",
    ),
    (
        ("passphrase must be set",),
        "the passphrase of the Pulumi stack {name} is missing",
        "Set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE.",
    ),
    (
        ("pulumi_access_token", "not logged in", "pulumi login"),
        "nobody is logged in to Pulumi's state backend",
        "Run: pulumi login (or set PULUMI_ACCESS_TOKEN, or PULUMI_BACKEND_URL for another backend).",
    ),
    (
        ("unable to open state directory", "unable to open bucket", "could not list bucket"),
        "Pulumi's state backend cannot be opened",
        "Check PULUMI_BACKEND_URL and your access to it: pulumi whoami --verbose",
    ),
    (
        ("no pulumi.yaml project file",),
        "there is no Pulumi.yaml here",
        "Run it in the checkout of the database repository.",
    ),
)


def _misspelt(name: str, root: Path, error: ConfigurationError) -> ConfigurationError | None:
    """The error for a name that no stack of the checkout has, so far as their settings' files tell; None for another one."""
    known = sorted(file.name.split(".")[1] for file in root.glob("Pulumi.*.yaml"))
    if name in known or not known:
        return None
    names = ["local", *known]
    close = get_close_matches(name, names, n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return ConfigurationError(
        f"the checkout has no environment {name}{meant}",
        remedy=f"There are {', '.join(names[:-1])} and {names[-1]} (Pulumi.NAME.yaml). As a stack without such a file it could "
        f"not be read either: {error.message}.",
    )


def _explain(name: str, said: str) -> ConfigurationError:
    for marks, what, remedy in _REMEDIES:
        if any(mark in said.lower() for mark in marks):
            return ConfigurationError(what.format(name=name), remedy=remedy.format(name=name))
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
    return ConfigurationError(
        f"pulumi could not give the outputs of the stack {name}: {last.removeprefix('error: ')}",
        remedy=f"Try it by hand: pulumi stack output --stack {name}",
    )
