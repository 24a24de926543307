"""Bringing a branch back: to a moment of its own history, to another branch's, or to its parent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator import names
from emulator.branch_rules import require_free_name, require_room
from emulator.errors import bad_request, unprocessable
from emulator.moments import read_moment, resolve
from emulator.shapes import Json, branch_shape

if TYPE_CHECKING:
    from emulator.control import Call
    from emulator.history import Moment
    from emulator.state import Branch, Project

_FIELDS = ("source_lsn", "source_timestamp")


async def restore(call: Call) -> Json:
    """POST /projects/P/branches/B/restore."""
    project = call.project(exclusive=True)
    branch, body = call.branch(project), call.body
    if branch.current_state == "init":
        raise unprocessable("branch not ready yet")  # one that a failed restore left can be restored again
    if "source_branch_id" not in body:
        raise bad_request("body.source_branch_id is required")
    source = call.branch(project, body.text("source_branch_id"), ready=True)
    moment = read_moment(body.text(_FIELDS[0]), body.text(_FIELDS[1]), names=_FIELDS)
    if source.id == branch.id and moment.position is None and moment.instant is None:
        raise bad_request("source_lsn or source_timestamp is required to restore a branch to its own history")
    return await _restore(call, project, branch, source, moment)


async def reset(call: Call) -> Json:
    """POST /projects/P/branches/B/reset: to the present of its parent."""
    project = call.project(exclusive=True)
    branch = call.branch(project, ready=True)
    if branch.parent_id is None:
        raise unprocessable("a root branch has no parent to be reset from")
    if branch.protected:
        raise call.refused("a protected branch cannot be reset")
    parent = call.branch(project, branch.parent_id, ready=True)
    return await _restore(call, project, branch, parent, read_moment("", "", names=_FIELDS))


async def _restore(call: Call, project: Project, branch: Branch, source: Branch, moment: Moment) -> Json:
    name = call.body.text("preserve_under_name")
    if not name and (source.id == branch.id or project.children(branch)):
        raise bad_request(
            "preserve_under_name is required to restore a branch to its own history, or one that has children"
        )
    if name:
        require_free_name(project, name)
        require_room(call, project)
    point = await resolve(call, project, source, moment)
    await call.control.mirror.refresh(project, branch)
    work: dict[str, Any] = {
        "do": "restore",
        "branch": branch.id,
        "source": source.id,
        "point": point.write(),
        "timeline": names.branch_id(),
        "preserve": name,
        "backup": names.branch_id(),
    }
    if call.control.settings.restored_id == "new":
        work["new_id"] = names.branch_id()
    queue = call.control.queue
    operations = [queue.new("create_branch", work, branch=branch)]
    for endpoint in project.endpoints_of(branch):
        start = {"do": "start", "branch": branch.id, "endpoint": endpoint.id, "new_id": work.get("new_id", "")}
        operations.append(queue.new("start_compute", start, endpoint=endpoint, request=operations[0].request))
    submitted = call.submit(project, *operations)
    shape = branch_shape(project, branch)
    return {"branch": shape | ({"id": work["new_id"]} if "new_id" in work else {}), "operations": submitted}
