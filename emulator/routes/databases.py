"""Databases of a branch, and the URL that opens one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.errors import ApiError, bad_request, conflict
from emulator.names import database_name
from emulator.routes.roles import compute_of
from emulator.shapes import Json, connection_uri, database_shape
from emulator.state import Database

if TYPE_CHECKING:
    from emulator.control import Call


async def create(call: Call) -> Json:
    """POST …/databases."""
    project = call.project(exclusive=True)
    branch, asked = call.branch(project, ready=True), call.body.required("database")
    name = asked.text("name")
    owner = await call.role(project, branch, asked.text("owner_name"))
    _require_free_name([database.name for database in branch.databases], name)
    endpoint, now = compute_of(project, branch), call.control.clock.stamp()
    project.last_database_id += 1
    database = Database(project.last_database_id, name, owner.name, now, now)
    branch.databases.append(database)
    work = {"do": "put_database", "branch": branch.id, "database": name, "owner": owner.name}
    operations = call.submit(project, call.control.queue.new("apply_config", work, endpoint=endpoint))
    return {"database": database_shape(branch, database), "operations": operations}


async def find(call: Call) -> Json:
    """GET …/databases."""
    project = call.project()
    branch = call.branch(project)
    await call.control.mirror.refresh(project, branch)
    return {"databases": [database_shape(branch, database) for database in branch.databases]}


async def read(call: Call) -> Json:
    """GET …/databases/D."""
    project = call.project()
    branch = call.branch(project)
    return {"database": database_shape(branch, await call.database(project, branch))}


async def update(call: Call) -> Json:
    """PATCH …/databases/D: another name, another owner."""
    project = call.project(exclusive=True)
    branch, asked = call.branch(project, ready=True), call.body.required("database")
    database = await call.database(project, branch)
    endpoint, old = compute_of(project, branch), database.name
    name = asked.text("name", old)
    owner = await call.role(project, branch, asked.text("owner_name", database.owner_name))
    queue, operations = call.control.queue, []
    if name != old:
        _require_free_name([other.name for other in branch.databases], name)
        work = {"do": "rename_database", "branch": branch.id, "database": old, "name": name}
        operations.append(queue.new("apply_config", work, endpoint=endpoint))
    if owner.name != database.owner_name:
        work = {"do": "put_database", "branch": branch.id, "database": name, "owner": owner.name}
        request = operations[0].request if operations else ""
        operations.append(queue.new("apply_config", work, endpoint=endpoint, request=request))
    database.name, database.owner_name, database.updated_at = name, owner.name, call.control.clock.stamp()
    return {"database": database_shape(branch, database), "operations": call.submit(project, *operations)}


async def delete(call: Call) -> Json:
    """DELETE …/databases/D."""
    project = call.project(exclusive=True)
    branch = call.branch(project, ready=True)
    database = await call.database(project, branch)
    work = {"do": "drop_database", "branch": branch.id, "database": database.name}
    operation = call.control.queue.new("apply_config", work, endpoint=compute_of(project, branch))
    return {"database": database_shape(branch, database), "operations": call.submit(project, operation)}


async def uri(call: Call) -> Json:
    """GET /projects/P/connection_uri."""
    project, query = call.project(), call.query
    for name in ("database_name", "role_name"):
        if not query.get(name):
            raise bad_request(f"{name} is required")
    default = next(branch for branch in project.living() if branch.default)
    branch = call.branch(project, query.get("branch_id", default.id))
    endpoints = [item for item in project.endpoints_of(branch) if query.get("endpoint_id", item.id) == item.id]
    if not endpoints:
        raise ApiError(404, f'endpoint not found for branch; branch_id:"{branch.id}"')
    database = await call.database(project, branch, query["database_name"])
    role = await call.role(project, branch, query["role_name"])
    if not project.store_passwords or role.password is None:
        raise ApiError(412, "the password of this role is not stored")
    return {"uri": connection_uri(endpoints[0], role, database.name, pooled=query.get("pooled") == "true")}


def _require_free_name(taken: list[str], name: str) -> None:
    if database_name(name) in taken:
        raise conflict(f'database already exists; database_name:"{name}"')
