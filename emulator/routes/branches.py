"""Branches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator import clock, names
from emulator.branch_rules import (
    read_expiry,
    refuse_unsupported,
    require_free_name,
    require_protectable,
    require_room,
    require_root,
    set_expiry,
)
from emulator.errors import bad_request, conflict, not_found, unprocessable
from emulator.moments import read_moment, resolve
from emulator.pages import cut
from emulator.routes.endpoints import new_endpoint
from emulator.shapes import (
    Json,
    branch_shape,
    connection_uris,
    database_shape,
    endpoint_shape,
    role_shape,
)
from emulator.state import Branch, Operation, Project, Role

if TYPE_CHECKING:
    from emulator.control import Call
    from emulator.fields import Fields
    from emulator.history import Point

_ALL = 10_000


async def create(call: Call) -> Json:
    """POST /projects/P/branches."""
    project = call.project(exclusive=True)
    asked = call.body.inner("branch")
    refuse_unsupported(asked)
    default = next(branch for branch in project.living() if branch.default)
    parent = call.branch(project, asked.text("parent_id") or default.id, ready=True)
    if parent.expires_at is not None:
        raise unprocessable("a branch that expires cannot have children")
    await call.control.mirror.refresh(project, parent)
    child = _new_branch(call, project, parent, asked)
    pair = ("parent_lsn", "parent_timestamp")
    moment = read_moment(asked.text(pair[0]), asked.text(pair[1]), names=pair)
    point = await resolve(call, project, parent, moment)
    if asked.text("init_source") == "schema-only":
        require_root(call, project)
        child.parent_id, child.init_source = None, "schema-only"
    else:
        child.parent_lsn, child.parent_timestamp = point.lsn, clock.write(point.instant)
    wanted = call.body.objects("endpoints")
    if len(wanted) > 1:
        raise conflict("read-write endpoint already exists")
    endpoints = [new_endpoint(call, project, child, item) for item in wanted]
    operations = [_copying(call, parent, child, point)]
    for endpoint in endpoints:
        await call.control.doors.open(project, endpoint)  # may find no port: then there is no branch either
        project.endpoints[endpoint.id] = endpoint
        work = {"do": "start", "branch": child.id, "endpoint": endpoint.id, "restart": True}
        operations.append(
            call.control.queue.new("start_compute", work, endpoint=endpoint, request=operations[0].request)
        )
    project.branches[child.id] = child
    submitted = call.submit(project, *operations)
    answer: Json = {
        "branch": branch_shape(project, child),
        "endpoints": [endpoint_shape(project, endpoint) for endpoint in endpoints],
        "operations": submitted,
        "roles": [role_shape(child, role, password=parent.protected) for role in child.roles],
        "databases": [database_shape(child, database) for database in child.databases],
    }
    uris = connection_uris(child, endpoints)
    return answer | ({"connection_uris": uris} if uris else {})


async def find(call: Call) -> Json:
    """GET /projects/P/branches."""
    project, query = call.project(), call.query
    deleted = query.get("include_deleted") == "true"
    wanted = query.get("search", "")
    branches = [
        branch
        for branch in project.branches.values()
        if (deleted or branch.deleted_at is None) and (wanted in branch.name or wanted in branch.id)
    ]
    by = query.get("sort_by", "updated_at")
    if by not in {"name", "created_at", "updated_at"}:
        raise bad_request("sort_by must be name, created_at or updated_at")
    order = query.get("sort_order", "desc")
    if order not in {"asc", "desc"}:
        raise bad_request("sort_order must be asc or desc")
    branches.sort(key=lambda branch: str(getattr(branch, by)), reverse=order != "asc")
    page, last, more = cut(branches, query, default=_ALL, key=lambda branch: branch.id)
    pagination: Json = {"sort_by": by, "sort_order": order.upper()}
    return {
        "branches": [branch_shape(project, branch) for branch in page],
        "annotations": {branch.id: _annotation(branch) for branch in page if branch.annotation},
        "pagination": pagination | ({"next": last} if more else {}),
    }


async def read(call: Call) -> Json:
    """GET /projects/P/branches/B."""
    project = call.project()
    branch = call.branch(project)
    return {"branch": branch_shape(project, branch), "annotation": _annotation(branch)}


async def update(call: Call) -> Json:
    """PATCH /projects/P/branches/B: name, protection, expiry (null takes it away)."""
    project = call.project(exclusive=True)
    branch, asked = call.branch(project), call.body.required("branch")
    name, protected = asked.name(branch.name), asked.flag("protected", default=branch.protected)
    if name != branch.name:
        require_free_name(project, name)
    if protected and not branch.protected:
        require_protectable(call, project)
    expires = branch.expires_at
    if "expires_at" in asked.content:
        expires = read_expiry(call, asked) if "expires_at" in asked else None
    if expires is not None and (protected or branch.default or project.children(branch)):
        raise unprocessable("a protected branch, the default branch and a parent cannot expire")
    branch.name, branch.protected = name, protected
    set_expiry(call, branch, expires)
    branch.updated_at = call.control.clock.stamp()
    return {"branch": branch_shape(project, branch), "operations": []}


async def delete(call: Call) -> Json:
    """DELETE /projects/P/branches/B: recoverable for seven days, unless hard_delete=true."""
    project = call.project(exclusive=True)
    branch = call.branch(project)
    if branch.default:
        raise call.refused("the default branch cannot be deleted")
    if branch.parent_id is None and not branch.backup and branch.init_source is None:
        raise call.refused("a root branch cannot be deleted")
    if branch.protected:
        raise call.refused("a protected branch cannot be deleted")
    if project.children(branch):
        raise call.refused("a branch that has children cannot be deleted")
    hard = call.query.get("hard_delete") == "true"
    mark_deleted(branch, call.control.clock.stamp(), "user")
    work = {"do": "remove_branch" if hard else "close_branch", "branch": branch.id}
    operations = [
        call.control.queue.new("suspend_compute", {"do": "suspend", "branch": branch.id}, endpoint=endpoint)
        for endpoint in project.endpoints_of(branch)
    ]
    operations.append(call.control.queue.new("delete_timeline", work, branch=branch))
    shape = branch_shape(project, branch)
    return {"branch": shape, "operations": call.submit(project, *operations)}


async def recover(call: Call) -> Json:
    """POST /projects/P/branches/B/recover: the branch and its endpoint as they were."""
    project = call.project(exclusive=True)
    branch = project.branches.get(call.path["branch"])
    if branch is None:
        raise not_found("branch", call.path["branch"])
    if branch.deleted_at is None:
        raise unprocessable("the branch is not deleted")
    require_free_name(project, branch.name)
    require_room(call, project)
    if branch.parent_id not in {None, *(other.id for other in project.living())}:
        raise unprocessable("the parent of the branch is deleted")
    endpoints = project.endpoints_of(branch)
    for endpoint in endpoints:
        await call.control.doors.open(project, endpoint)
    branch.deleted_at = None
    set_expiry(call, branch, None)
    branch.updated_at = branch.state_changed_at = call.control.clock.stamp()
    return {
        "branch": branch_shape(project, branch),
        "endpoints": [endpoint_shape(project, endpoint) for endpoint in endpoints],
    }


async def set_as_default(call: Call) -> Json:
    """POST /projects/P/branches/B/set_as_default."""
    project = call.project(exclusive=True)
    branch = call.branch(project, ready=True)
    if branch.expires_at is not None:
        raise unprocessable("a branch that expires cannot be the default branch")
    for other in project.branches.values():
        other.default = other.id == branch.id
    return {"branch": branch_shape(project, branch), "operations": []}


def mark_deleted(branch: Branch, now: str, method: str) -> None:
    """Delete a branch softly."""
    branch.deleted_at, branch.deletion_method, branch.updated_at = now, method, now


def _new_branch(call: Call, project: Project, parent: Branch, asked: Fields) -> Branch:
    now, identity = call.control.clock.stamp(), names.branch_id()
    name = asked.text("name") or identity
    require_free_name(project, name)
    require_room(call, project)
    child = Branch(identity, name, now, now, now, parent_id=parent.id, pending_state="ready")
    child.protected = asked.flag("protected")
    child.annotation = call.body.mapping("annotation_value")
    child.logical_size = parent.logical_size
    if child.protected:
        require_protectable(call, project)
    if "expires_at" in asked:
        if child.protected:
            raise unprocessable("a protected branch, the default branch and a parent cannot expire")
        set_expiry(call, child, read_expiry(call, asked))
    child.roles = [_inherited(role, new_password=parent.protected) for role in parent.roles]
    child.databases = [type(database)(**vars(database)) for database in parent.databases]
    return child


def _inherited(role: Role, *, new_password: bool) -> Role:
    copy = Role(**vars(role))
    if new_password and copy.login:
        copy.password = names.password()
    return copy


def _copying(call: Call, parent: Branch, child: Branch, point: Point) -> Operation:
    work = {"do": "copy_parent", "branch": child.id, "point": point.write(), "new_passwords": parent.protected}
    work["schema_only"] = child.init_source == "schema-only"
    return call.control.queue.new("create_branch", work, branch=child)


def _annotation(branch: Branch) -> Json:
    value = branch.annotation
    return {
        "object": {"type": "console/branch", "id": branch.id},
        "value": value,
        "created_at": branch.created_at,
        "updated_at": branch.created_at,
    }
