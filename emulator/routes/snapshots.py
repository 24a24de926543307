"""Snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator import clock, names
from emulator.branch_rules import require_free_name, require_room
from emulator.errors import bad_request, conflict, not_found, unprocessable
from emulator.moments import read_moment, resolve
from emulator.shapes import Json, branch_shape, snapshot_shape
from emulator.state import Branch, Database, Role, Snapshot

if TYPE_CHECKING:
    from emulator.control import Call
    from emulator.operations import Queue
    from emulator.state import Operation, Project

_MOMENT = ("lsn", "timestamp")


async def create(call: Call) -> Json:
    """POST /projects/P/branches/B/snapshot, with everything in the query."""
    project = call.project(exclusive=True)
    branch, query = call.branch(project, ready=True), call.parameters
    if branch.parent_id is not None:
        raise unprocessable("a snapshot can only be taken of a root branch")
    now, identity = call.control.clock.stamp(), names.snapshot_id()
    name = query.text("name") or f"{branch.name} at {now}"
    _require_free_name(project, name)
    limit = call.control.settings.plan.snapshots
    if len(project.snapshots) >= limit:
        raise unprocessable(f"snapshots limit exceeded; limit:{limit}", "SNAPSHOTS_LIMIT_EXCEEDED")
    expires = _read_expiry(call, query.text("expires_at"))
    moment = read_moment(query.text("lsn"), query.text("timestamp"), names=_MOMENT)
    point = await resolve(call, project, branch, moment)
    await call.control.mirror.refresh(project, branch)
    snapshot = Snapshot(
        id=identity,
        name=name,
        source_branch_id=branch.id,
        created_at=now,
        lsn=point.lsn,
        timestamp=clock.write(point.instant),
        expires_at=expires,
        roles=[Role(**vars(role)) for role in branch.roles],
        databases=[Database(**vars(database)) for database in branch.databases],
    )
    project.snapshots[identity] = snapshot
    work = {"do": "take_snapshot", "branch": branch.id, "snapshot": identity, "point": point.write()}
    operation = call.control.queue.new("create_branch", work, branch=branch)
    return {"operations": call.submit(project, operation), "snapshot": snapshot_shape(snapshot)}


async def find(call: Call) -> Json:
    """GET /projects/P/snapshots, newest first."""
    snapshots = list(call.project().snapshots.values())
    return {"snapshots": [snapshot_shape(snapshot) for snapshot in reversed(snapshots)]}


async def update(call: Call) -> Json:
    """PATCH /projects/P/snapshots/S: its name and its expiry (null takes it away)."""
    project = call.project()
    snapshot, asked = _snapshot(call, project), call.body.required("snapshot")
    name, expires = asked.text("name") or snapshot.name, snapshot.expires_at
    if name != snapshot.name:
        _require_free_name(project, name)
    if "expires_at" in asked.content:
        expires = _read_expiry(call, asked.text("expires_at"))
    snapshot.name, snapshot.expires_at = name, expires
    return {"snapshot": snapshot_shape(snapshot)}


async def delete(call: Call) -> Json:
    """DELETE /projects/P/snapshots/S: for good."""
    project = call.project(exclusive=True)
    snapshot = _snapshot(call, project)
    return {"operations": call.submit(project, removal(call.control.queue, project, snapshot))}


async def restore(call: Call) -> Json:
    """POST /projects/P/snapshots/S/restore: to a new branch, which with `finalize_restore` takes the target's place."""
    project = call.project(exclusive=True)
    snapshot, body = _snapshot(call, project), call.body
    if not snapshot.ready:
        raise unprocessable("snapshot not ready yet")
    target = call.branch(project, body.text("target_branch_id") or snapshot.source_branch_id, ready=True)
    now, identity = call.control.clock.stamp(), names.branch_id()
    name = body.text("name") or call.parameters.text("name") or f"{target.name} restored at {now}"
    require_free_name(project, name)
    require_room(call, project)
    branch = Branch(
        identity,
        name,
        now,
        now,
        now,
        pending_state="ready",
        logical_size=snapshot.full_size or 0,
        restored_from=snapshot.id,
        restored_as=target.id,
        roles=[Role(**vars(role)) for role in snapshot.roles],
        databases=[Database(**vars(database)) for database in snapshot.databases],
        backup=True,  # nothing was cut from it, and nobody counts on it
    )
    project.branches[identity] = branch
    queue = call.control.queue
    work = {"do": "restore_snapshot", "branch": identity, "snapshot": snapshot.id}
    operations = [queue.new("create_branch", work, branch=branch)]
    if body.flag("finalize_restore"):
        operations += _finalizing(call, project, branch, target, _old_name(project, target), operations[0].request)
    submitted = call.submit(project, *operations)
    return {"branch": branch_shape(project, branch), "operations": submitted}


async def finalize(call: Call) -> Json:
    """POST /projects/P/branches/B/finalize_restore: B takes the place of the branch that it was restored for."""
    project = call.project(exclusive=True)
    branch = call.branch(project, ready=True)
    if branch.restored_as is None:
        raise unprocessable("the branch was not restored from a snapshot, or its restore was finalized")
    target = call.branch(project, branch.restored_as, ready=True)
    name = call.body.text("name")
    if name:
        require_free_name(project, name)
    operations = _finalizing(call, project, branch, target, name or _old_name(project, target), "")
    return {"operations": call.submit(project, *operations)}


def removal(queue: Queue, project: Project, snapshot: Snapshot) -> Operation:
    """The operation that deletes a snapshot. Its branch may be gone, so the default branch stands for the project."""
    branch = next(branch for branch in project.living() if branch.default)
    return queue.new(
        "delete_timeline", {"do": "remove_snapshot", "branch": branch.id, "snapshot": snapshot.id}, branch=branch
    )


def _finalizing(
    call: Call, project: Project, branch: Branch, target: Branch, name: str, request: str
) -> list[Operation]:
    queue = call.control.queue
    work = {"do": "finalize_restore", "branch": branch.id, "target": target.id, "name": name}
    operations = [queue.new("apply_config", work, branch=branch, request=request)]
    for endpoint in project.endpoints_of(target):
        start = {"do": "start_again", "branch": branch.id, "endpoint": endpoint.id}
        operations.append(queue.new("start_compute", start, endpoint=endpoint, request=operations[0].request))
    return operations


def _old_name(project: Project, target: Branch) -> str:
    """A free name for the branch that is replaced."""
    taken = {branch.name for branch in project.living()}
    wanted = [f"{target.name} (old)", *(f"{target.name} (old {number})" for number in range(2, len(taken) + 3))]
    return next(name for name in wanted if name not in taken)


def _snapshot(call: Call, project: Project) -> Snapshot:
    found = project.snapshots.get(call.path["snapshot"])
    if found is None:
        raise not_found("snapshot", call.path["snapshot"])
    return found


def _require_free_name(project: Project, name: str) -> None:
    if any(snapshot.name == name for snapshot in project.snapshots.values()):
        raise conflict(f'snapshot already exists; snapshot_name:"{name}"')


def _read_expiry(call: Call, text: str) -> str | None:
    """The expiry that is asked for; a manual snapshot may live as long as it likes."""
    if not text:
        return None
    try:
        instant = clock.read(text)
    except ValueError:
        raise bad_request("expires_at must be an RFC 3339 time with a time zone") from None
    if instant <= call.control.clock.now():
        raise bad_request("expires_at must be in the future")
    return clock.write(instant)
