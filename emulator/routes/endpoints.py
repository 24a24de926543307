"""Compute endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator import names
from emulator.errors import ApiError, bad_request, conflict, not_emulated, unprocessable
from emulator.shapes import Json, endpoint_shape
from emulator.state import Branch, Endpoint, Project
from emulator.typed_settings import endpoint_settings

if TYPE_CHECKING:
    from emulator.control import Call
    from emulator.fields import Fields

_SUSPEND_MAXIMUM = 604_800
_FLAGS = ("pooler_enabled", "disabled", "passwordless_access")


def new_endpoint(call: Call, project: Project, branch: Branch, asked: Fields) -> Endpoint:
    """An endpoint of a branch as a request describes it, its limits checked; not yet in the project."""
    if (asked.text("type") or "read_write") != "read_write":
        raise not_emulated("a read_only endpoint, which on Neon is a second server on the same storage,")
    if any(endpoint.type == "read_write" for endpoint in project.endpoints_of(branch)):
        raise conflict(f'read-write endpoint already exists; branch_id:"{branch.id}"')
    now, defaults = call.control.clock.stamp(), project.default_endpoint_settings
    endpoint = Endpoint(
        id=names.endpoint_id(),
        branch_id=branch.id,
        port=0,
        pooler_port=0,
        created_at=now,
        updated_at=now,
        min_cu=float(defaults["autoscaling_limit_min_cu"]),
        max_cu=float(defaults["autoscaling_limit_max_cu"]),
    )
    _change(call, endpoint, asked)
    return endpoint


async def create(call: Call) -> Json:
    """POST /projects/P/endpoints."""
    project = call.project(exclusive=True)
    asked = call.body.required("endpoint")
    branch = call.branch(project, asked.text("branch_id"), ready=True)
    endpoint = new_endpoint(call, project, branch, asked)
    await call.control.doors.open(project, endpoint)
    project.endpoints[endpoint.id] = endpoint
    work = {"do": "start", "branch": branch.id, "endpoint": endpoint.id, "restart": True}
    operation = call.control.queue.new("start_compute", work, endpoint=endpoint)
    return {"endpoint": endpoint_shape(project, endpoint), "operations": call.submit(project, operation)}


async def find(call: Call) -> Json:
    """GET /projects/P/branches/B/endpoints."""
    project = call.project()
    endpoints = project.endpoints_of(call.branch(project))
    return {"endpoints": [endpoint_shape(project, endpoint) for endpoint in endpoints]}


async def find_all(call: Call) -> Json:
    """GET /projects/P/endpoints."""
    project = call.project()
    endpoints = [endpoint for branch in project.living() for endpoint in project.endpoints_of(branch)]
    return {"endpoints": [endpoint_shape(project, endpoint) for endpoint in endpoints]}


async def read(call: Call) -> Json:
    """GET /projects/P/endpoints/E."""
    project = call.project()
    return {"endpoint": endpoint_shape(project, call.endpoint(project))}


async def update(call: Call) -> Json:
    """PATCH /projects/P/endpoints/E; another branch_id moves the endpoint to that branch."""
    project = call.project(exclusive=True)
    endpoint, asked = call.endpoint(project), call.body.required("endpoint")
    target = call.branch(project, asked.text("branch_id", endpoint.branch_id), ready=True)
    left = endpoint.branch_id if endpoint.branch_id != target.id else None
    if left is not None and project.endpoints_of(target):
        raise conflict(f'read-write endpoint already exists; branch_id:"{target.id}"')
    _change(call, endpoint, asked)
    endpoint.branch_id, endpoint.updated_at = target.id, call.control.clock.stamp()
    work = {"do": "configure", "branch": target.id, "endpoint": endpoint.id, "left": left}
    operation = call.control.queue.new("apply_config", work, endpoint=endpoint)
    return {"endpoint": endpoint_shape(project, endpoint), "operations": call.submit(project, operation)}


async def delete(call: Call) -> Json:
    """DELETE /projects/P/endpoints/E."""
    project = call.project(exclusive=True)
    endpoint = call.endpoint(project)
    if project.branches[endpoint.branch_id].protected:
        raise call.refused("the compute of a protected branch cannot be deleted")
    work = {"do": "close_endpoint", "branch": endpoint.branch_id, "endpoint": endpoint.id}
    operation = call.control.queue.new("suspend_compute", work, endpoint=endpoint)
    return {"endpoint": endpoint_shape(project, endpoint), "operations": call.submit(project, operation)}


async def start(call: Call) -> Json:
    """POST /projects/P/endpoints/E/start."""
    project = call.project(exclusive=True)
    endpoint = call.endpoint(project)
    if endpoint.disabled:
        raise unprocessable("endpoint is disabled")
    work = {"do": "start", "branch": endpoint.branch_id, "endpoint": endpoint.id}
    operation = call.control.queue.new("start_compute", work, endpoint=endpoint)
    return {"endpoint": endpoint_shape(project, endpoint), "operations": call.submit(project, operation)}


async def restart(call: Call) -> Json:
    """POST /projects/P/endpoints/E/restart."""
    project = call.project(exclusive=True)
    endpoint = call.endpoint(project)
    if endpoint.disabled:
        raise unprocessable("endpoint is disabled")
    work = {"do": "start", "branch": endpoint.branch_id, "endpoint": endpoint.id, "restart": True}
    operation = call.control.queue.new("start_compute", work, endpoint=endpoint)
    return {"endpoint": endpoint_shape(project, endpoint), "operations": call.submit(project, operation)}


async def suspend(call: Call) -> Json:
    """POST /projects/P/endpoints/E/suspend."""
    project = call.project()
    endpoint = call.endpoint(project)
    if project.busy:
        raise ApiError(423, "endpoint is in some transitive state, could not suspend")
    work = {"do": "suspend", "branch": endpoint.branch_id}
    operation = call.control.queue.new("suspend_compute", work, endpoint=endpoint)
    return {"endpoint": endpoint_shape(project, endpoint), "operations": call.submit(project, operation)}


def _change(call: Call, endpoint: Endpoint, asked: Fields) -> None:
    """Set what is asked, after checking it against the plan."""
    plan = call.control.settings.plan
    low = asked.number("autoscaling_limit_min_cu") or endpoint.min_cu
    high = asked.number("autoscaling_limit_max_cu") or endpoint.max_cu
    if not 0.25 <= low <= high:
        raise bad_request(f"autoscaling limits must be 0.25 <= min <= max; min:{low}, max:{high}")
    if high > plan.max_cu:
        raise unprocessable(f"autoscaling limit exceeds the maximum of the plan; max:{plan.max_cu}")
    seconds = asked.whole("suspend_timeout_seconds", endpoint.suspend_timeout_seconds)
    if not -1 <= seconds <= _SUSPEND_MAXIMUM:
        raise bad_request(f"suspend_timeout_seconds must be between -1 and {_SUSPEND_MAXIMUM}")
    if seconds not in {0, 300} and not plan.may_change_suspend:
        raise unprocessable("suspend interval changing is not allowed for your account")
    settings = endpoint_settings(asked)
    flags = {name: asked.flag(name, default=getattr(endpoint, name)) for name in _FLAGS}
    name = asked.text("name", endpoint.name or "") or None
    # Nothing is refused from here on: a call that is refused has changed nothing.
    endpoint.min_cu, endpoint.max_cu, endpoint.suspend_timeout_seconds = low, high, seconds
    endpoint.settings |= settings
    for flag, value in flags.items():
        setattr(endpoint, flag, value)
    endpoint.name = name
