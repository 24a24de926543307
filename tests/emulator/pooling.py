"""The pooled door of a project's endpoint, and the mark of a test that needs the program behind it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.urls import project_path

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

Json = dict[str, Any]
needs_pgbouncer = pytest.mark.skipif(
    shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin") is None,
    reason="PgBouncer is not installed: the pooled door leads to the server itself",
)


def pooled(emulator: Emulator, project: Json) -> str:
    """The URL that goes through the pooler."""
    query = {"database_name": "app", "role_name": "app_owner", "pooled": "true"}
    found: str = emulator.ok("GET", f"{project_path(project)}/connection_uri", params=query)["uri"]
    return found
