"""The .env lines that a service needs to reach an environment's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.environments import LOCAL, resolve
from pipeline.environments.clients import render
from pipeline.environments.stack import read_stack, service_lines
from pipeline.errors import UsageError
from services import SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def env_lines(root: Path, name: str, service: str, *, tell: Callable[[str], None]) -> list[str]:
    """Return the lines for a service, by its name. They hold a password.

    From a stack they name the service's own role. Locally the runtime roles have no LOGIN, so it is the owner.

    Raises:
        UsageError: there is no such service.
        ConfigurationError: there is no such stack, or the URL is not for this service's client.
    """
    found = next((each for each in SERVICES if each.name == service), None)
    if found is None:
        names = ", ".join(each.name for each in SERVICES)
        raise UsageError(f"there is no service {service!r}", remedy=f"Services: {names}.")
    if name != LOCAL:
        return service_lines(read_stack(name, root), found)
    url = resolve(LOCAL, root=root, tell=tell).url
    rendered = render(url, found.client)
    return [
        f"# {service} on the local database, as its owner: it may do more here than elsewhere",
        f'DATABASE_URL="{rendered.dsn}"',
    ]
