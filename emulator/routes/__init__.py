"""Which route answers what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from emulator.control import serve
from emulator.errors import not_emulated
from emulator.routes import (
    account,
    branches,
    databases,
    endpoints,
    operations,
    projects,
    restoring,
    roles,
    schemas,
    snapshots,
)

if TYPE_CHECKING:
    from emulator.control import Call, Control
    from emulator.control import Route as Answer
    from emulator.shapes import Json

_PROJECT = "/projects/{project}"
_BRANCH = _PROJECT + "/branches/{branch}"
_ENDPOINT = _PROJECT + "/endpoints/{endpoint}"
_SNAPSHOT = _PROJECT + "/snapshots/{snapshot}"
_ROLE = _BRANCH + "/roles/{role}"
_DATABASE = _BRANCH + "/databases/{database}"

_ROUTES: tuple[tuple[str, str, Answer, int], ...] = (
    ("GET", "/users/me", account.me, 200),
    ("GET", "/users/me/organizations", account.organizations, 200),
    ("GET", "/regions", account.regions, 200),
    ("POST", "/projects", projects.create, 201),
    ("GET", "/projects", projects.find, 200),
    ("GET", "/projects/shared", projects.shared, 200),
    ("GET", _PROJECT, projects.read, 200),
    ("PATCH", _PROJECT, projects.update, 200),
    ("DELETE", _PROJECT, projects.delete, 200),
    ("GET", _PROJECT + "/connection_uri", databases.uri, 200),
    ("GET", _PROJECT + "/operations", operations.find, 200),
    ("GET", _PROJECT + "/operations/{operation}", operations.read, 200),
    ("POST", _PROJECT + "/branches", branches.create, 201),
    ("GET", _PROJECT + "/branches", branches.find, 200),
    ("GET", _BRANCH, branches.read, 200),
    ("PATCH", _BRANCH, branches.update, 200),
    ("DELETE", _BRANCH, branches.delete, 200),
    ("POST", _BRANCH + "/recover", branches.recover, 200),
    ("POST", _BRANCH + "/restore", restoring.restore, 200),
    ("POST", _BRANCH + "/reset", restoring.reset, 200),
    ("POST", _BRANCH + "/finalize_restore", snapshots.finalize, 200),
    ("POST", _BRANCH + "/snapshot", snapshots.create, 200),
    ("GET", _PROJECT + "/snapshots", snapshots.find, 200),
    ("PATCH", _SNAPSHOT, snapshots.update, 200),
    ("DELETE", _SNAPSHOT, snapshots.delete, 202),
    ("POST", _SNAPSHOT + "/restore", snapshots.restore, 200),
    ("POST", _BRANCH + "/set_as_default", branches.set_as_default, 200),
    ("GET", _BRANCH + "/schema", schemas.read, 200),
    ("GET", _BRANCH + "/compare_schema", schemas.compare, 200),
    ("GET", _BRANCH + "/endpoints", endpoints.find, 200),
    ("GET", _PROJECT + "/endpoints", endpoints.find_all, 200),
    ("POST", _PROJECT + "/endpoints", endpoints.create, 201),
    ("GET", _ENDPOINT, endpoints.read, 200),
    ("PATCH", _ENDPOINT, endpoints.update, 200),
    ("DELETE", _ENDPOINT, endpoints.delete, 200),
    ("POST", _ENDPOINT + "/start", endpoints.start, 200),
    ("POST", _ENDPOINT + "/suspend", endpoints.suspend, 200),
    ("POST", _ENDPOINT + "/restart", endpoints.restart, 200),
    ("POST", _BRANCH + "/roles", roles.create, 201),
    ("GET", _BRANCH + "/roles", roles.find, 200),
    ("GET", _ROLE, roles.read, 200),
    ("DELETE", _ROLE, roles.delete, 200),
    ("GET", _ROLE + "/reveal_password", roles.reveal_password, 200),
    ("POST", _ROLE + "/reset_password", roles.reset_password, 200),
    ("POST", _BRANCH + "/databases", databases.create, 201),
    ("GET", _BRANCH + "/databases", databases.find, 200),
    ("GET", _DATABASE, databases.read, 200),
    ("PATCH", _DATABASE, databases.update, 200),
    ("DELETE", _DATABASE, databases.delete, 200),
)

_NOT_EMULATED: tuple[tuple[str, str, str], ...] = (
    ("GET", _BRANCH + "/backup_schedule", "a snapshot schedule"),
    ("PUT", _BRANCH + "/backup_schedule", "a snapshot schedule"),
    ("POST", _PROJECT + "/branch_anonymized", "anonymising a branch"),
)


def routes(control: Control) -> list[Route]:
    """Every route below /api/v2."""
    served = [Route(path, serve(control, answer, status), methods=[method]) for method, path, answer, status in _ROUTES]
    refused = [
        Route(path, serve(control, _refusal(what), 501), methods=[method]) for method, path, what in _NOT_EMULATED
    ]
    return served + refused


def _refusal(what: str) -> Answer:
    async def refuse(call: Call) -> Json:
        call.project()
        raise not_emulated(what)

    return refuse
