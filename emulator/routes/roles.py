"""Roles of a branch and their passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator import names
from emulator.errors import ApiError, conflict, unprocessable
from emulator.names import role_name
from emulator.shapes import Json, role_shape
from emulator.state import Branch, Endpoint, Project, Role

if TYPE_CHECKING:
    from emulator.control import Call


def compute_of(project: Project, branch: Branch) -> Endpoint:
    """The compute through which a branch is configured: roles and databases cannot be made without one."""
    for endpoint in project.endpoints_of(branch):
        return endpoint
    raise unprocessable(f'read-write endpoint not found for branch; branch_id:"{branch.id}"')


async def create(call: Call) -> Json:
    """POST …/roles: the password is in the answer."""
    project = call.project(exclusive=True)
    branch, asked = call.branch(project, ready=True), call.body.required("role")
    name, login = role_name(asked.text("name")), not asked.flag("no_login")
    await call.control.mirror.refresh(project, branch)
    if any(role.name == name for role in branch.roles):
        raise conflict(f'role already exists; role_name:"{name}"')
    endpoint, now = compute_of(project, branch), call.control.clock.stamp()
    role = Role(name, now, now, password=names.password() if login else None, login=login)
    branch.roles.append(role)
    work = {"do": "put_role", "branch": branch.id, "role": name}
    operations = call.submit(project, call.control.queue.new("apply_config", work, endpoint=endpoint))
    return {"role": role_shape(branch, role, password=True), "operations": operations}


async def find(call: Call) -> Json:
    """GET …/roles."""
    project = call.project()
    branch = call.branch(project)
    await call.control.mirror.refresh(project, branch)
    return {"roles": [role_shape(branch, role) for role in branch.roles]}


async def read(call: Call) -> Json:
    """GET …/roles/N."""
    project = call.project()
    branch = call.branch(project)
    return {"role": role_shape(branch, await call.role(project, branch))}


async def delete(call: Call) -> Json:
    """DELETE …/roles/N."""
    project = call.project(exclusive=True)
    branch = call.branch(project, ready=True)
    role = await call.role(project, branch)
    if any(database.owner_name == role.name for database in branch.databases):
        raise unprocessable(f'role owns databases; role_name:"{role.name}"')
    work = {"do": "drop_role", "branch": branch.id, "role": role.name}
    operation = call.control.queue.new("apply_config", work, endpoint=compute_of(project, branch))
    return {"role": role_shape(branch, role), "operations": call.submit(project, operation)}


async def reset_password(call: Call) -> Json:
    """POST …/roles/N/reset_password: a new one, in the answer."""
    project = call.project(exclusive=True)
    branch = call.branch(project, ready=True)
    role = await call.role(project, branch)
    endpoint = compute_of(project, branch)
    role.password, role.updated_at = names.password(), call.control.clock.stamp()
    work = {"do": "put_role", "branch": branch.id, "role": role.name}
    operations = call.submit(project, call.control.queue.new("apply_config", work, endpoint=endpoint))
    return {"role": role_shape(branch, role, password=True), "operations": operations}


async def reveal_password(call: Call) -> Json:
    """GET …/roles/N/reveal_password."""
    project = call.project()
    if not project.store_passwords:
        raise ApiError(412, "passwords are not stored in this project")
    branch = call.branch(project)
    role = await call.role(project, branch)
    if role.password is None:
        raise ApiError(404, f'password not found for role; role_name:"{role.name}"')
    observable = not project.busy and call.control.computes.running(branch)
    if observable and not await call.control.mirror.knows_password(project, branch, role):
        raise ApiError(501, "the password was changed in SQL: Neon would know it, the emulator does not")
    return {"password": role.password}
