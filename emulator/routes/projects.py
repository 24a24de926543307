"""Projects: made with a default branch, its owner role, its database and its compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator import names
from emulator.errors import ApiError, bad_request, not_emulated
from emulator.names import database_name, role_name
from emulator.pages import cut
from emulator.routes.account import ORGANIZATION
from emulator.routes.endpoints import new_endpoint
from emulator.shapes import (
    Json,
    branch_shape,
    connection_uris,
    database_shape,
    endpoint_shape,
    project_item_shape,
    project_shape,
    role_shape,
)
from emulator.state import Branch, Database, Project, Role
from emulator.typed_settings import endpoint_defaults, project_settings

if TYPE_CHECKING:
    from emulator.control import Call
    from emulator.fields import Fields

_SETTINGS: dict[str, Any] = {
    "allowed_ips": {"ips": [], "protected_branches_only": False},
    "enable_logical_replication": False,
    "maintenance_window": {"weekdays": [2], "start_time": "01:00", "end_time": "02:00"},
    "block_public_connections": False,
    "block_vpc_connections": False,
    "hipaa": False,
}


async def create(call: Call) -> Json:
    """POST /projects."""
    asked = call.body.required("project")
    wanted = asked.inner("branch")
    _require_organization(call, asked.text("org_id"))
    served = call.control.computes.major
    version = asked.whole("pg_version") or served
    if version != served:
        raise not_emulated(f"PostgreSQL {version} (this emulator's servers are {served}; see POSTGRES_MAJOR)")
    now, queue, plan = call.control.clock.stamp(), call.control.queue, call.control.settings.plan
    identity = names.project_id()
    project = Project(
        id=identity,
        name=asked.text("name") or identity,
        org_id=asked.text("org_id") or ORGANIZATION,
        region_id=asked.text("region_id") or "aws-us-east-1",
        pg_version=version,
        store_passwords=asked.flag("store_passwords", default=True),
        history_retention_seconds=_history(call, asked, min(86_400, plan.history_seconds)),
        default_endpoint_settings=_endpoint_defaults(call, asked, {}),
        settings=_SETTINGS | project_settings(asked),
        created_at=now,
        updated_at=now,
        provisioner=asked.text("provisioner") or "k8s-neonvm",
        last_database_id=1,
    )
    branch = Branch(names.branch_id(), wanted.text("name") or "main", now, now, now, default=True)
    role = Role(role_name(wanted.text("role_name") or "neondb_owner"), now, now, password=names.password())
    branch.roles = [role]
    branch.databases = [Database(1, database_name(wanted.text("database_name") or "neondb"), role.name, now, now)]
    endpoint = new_endpoint(call, project, branch, asked.inner("default_endpoint_settings"))
    project.branches[branch.id], project.endpoints[endpoint.id] = branch, endpoint
    await call.control.doors.open(project, endpoint)
    call.control.store.projects[project.id] = project
    first = queue.new("create_timeline", {"do": "create_root", "branch": branch.id}, branch=branch)
    start = {"do": "start", "branch": branch.id, "endpoint": endpoint.id}
    second = queue.new("start_compute", start, endpoint=endpoint, request=first.request)
    operations = call.submit(project, first, second)
    return {
        "project": project_shape(project, plan),
        "connection_uris": connection_uris(branch, [endpoint]),
        "roles": [role_shape(branch, role, password=True)],
        "databases": [database_shape(branch, database) for database in branch.databases],
        "operations": operations,
        "branch": branch_shape(project, branch),
        "endpoints": [endpoint_shape(project, endpoint)],
    }


async def find(call: Call) -> Json:
    """GET /projects. A deleted project is gone, so there are none to recover."""
    _require_organization(call, call.query.get("org_id", ""))
    wanted, organization = call.query.get("search", ""), call.query.get("org_id")
    projects = [
        project
        for project in call.control.store.projects.values()
        if (wanted in project.name or wanted in project.id) and call.query.get("recoverable") != "true"
        if organization in {None, project.org_id}
    ]
    page, cursor, _ = cut(projects, call.query, default=10, key=lambda project: project.id)
    shapes = [project_item_shape(project, call.control.settings.plan) for project in page]
    return {
        "projects": shapes,
        "unavailable_project_ids": [],
        "pagination": {"cursor": cursor} if cursor else {},
        "applications": {},
        "integrations": {},
    }


async def shared(_: Call) -> Json:
    """GET /projects/shared: nobody else is here who could share one."""
    return {"projects": [], "applications": {}, "integrations": {}}


async def read(call: Call) -> Json:
    """GET /projects/P."""
    return {"project": project_shape(call.project(), call.control.settings.plan)}


async def update(call: Call) -> Json:
    """PATCH /projects/P."""
    project = call.project(exclusive=True)
    asked = call.body.required("project")
    history = _history(call, asked, project.history_retention_seconds)
    defaults = _endpoint_defaults(call, asked, project.default_endpoint_settings)
    name, settings = asked.name(project.name), project_settings(asked)
    project.name = name
    project.history_retention_seconds, project.default_endpoint_settings = history, defaults
    project.settings |= settings
    project.updated_at = call.control.clock.stamp()
    return {"project": project_shape(project, call.control.settings.plan), "operations": []}


async def delete(call: Call) -> Json:
    """DELETE /projects/P: at once and for good."""
    project = call.project(exclusive=True)
    if any(branch.protected for branch in project.living()):
        raise call.refused("projects with protected branches cannot be deleted")
    shape = project_shape(project, call.control.settings.plan)
    del call.control.store.projects[project.id]
    call.control.store.save()
    for endpoint in project.endpoints.values():
        await call.control.doors.close(endpoint)
    folders = {branch.timeline for branch in project.branches.values()} | {*project.timelines, *project.snapshots}
    for timeline in folders:
        await call.control.keeping.stop_copying(timeline)
        await call.control.computes.remove(timeline)
    return {"project": shape}


def _require_organization(call: Call, given: str) -> None:
    if call.control.settings.require_org and not given:
        raise ApiError(400, "org_id is required, you can find it on your organization settings page")


def _history(call: Call, asked: Fields, default: int) -> int:
    seconds, limit = asked.whole("history_retention_seconds", default), call.control.settings.plan.history_seconds
    if seconds < 0:
        raise bad_request("history_retention_seconds must not be negative")
    if seconds > limit:
        raise bad_request(
            "requested history retention seconds exceeds allowed maximum; "
            f'requested_history_retention_seconds:"{seconds}", max:"{limit}"'
        )
    return seconds


def _endpoint_defaults(call: Call, asked: Fields, present: dict[str, Any]) -> dict[str, Any]:
    """The defaults of computes: what was, what is asked, what is asked outside of the object."""
    limits = ("autoscaling_limit_min_cu", "autoscaling_limit_max_cu")
    outer = {name: asked.number(name) for name in limits if name in asked}
    base = {"autoscaling_limit_min_cu": 0.25, "autoscaling_limit_max_cu": min(2.0, call.control.settings.plan.max_cu)}
    return base | {"suspend_timeout_seconds": 0} | present | outer | endpoint_defaults(asked)
