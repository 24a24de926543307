"""Restoring a branch: another state takes its place, and the old one may stay as a branch of its own.

All that takes time is done beside the branch, on a timeline that nobody uses yet. Then the branch's server stops, and the
change itself is one step, saved at once: a kill leaves the branch before it or after it, and the work can be done again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator import clock as times
from emulator.history import Point
from emulator.servers import catalog, log_position
from emulator.state import Branch, Database, Role

if TYPE_CHECKING:
    from emulator.clock import Clock
    from emulator.computes import Computes
    from emulator.doors import Doors
    from emulator.history import History
    from emulator.keeping import Keeping
    from emulator.mirror import Mirror
    from emulator.state import Project


class HalfDone(Exception):
    """A fault that is switched on let the work end in the middle."""


class Restoring:
    """Does what a restore asks for."""

    def __init__(
        self, computes: Computes, history: History, keeping: Keeping, doors: Doors, mirror: Mirror, clock: Clock
    ) -> None:
        self._computes = computes
        self._keeping = keeping
        self._history = history
        self._doors = doors
        self._mirror = mirror
        self._clock = clock

    async def __call__(self, project: Project, branch: Branch, work: dict[str, Any]) -> None:
        """Bring a branch to a point of its own history or another's; see routes/restoring.py for the work."""
        branch = next((item for item in project.branches.values() if item.timeline == work["timeline"]), branch)
        try:
            await self._restore(project, branch, work)
        except Exception:
            if branch.timeline != work["timeline"]:
                branch.current_state, branch.pending_state = "ready", None
                await self._computes.discard(work["timeline"])
                await self._keeping.drop(project, work["timeline"])
            raise

    async def _restore(self, project: Project, branch: Branch, work: dict[str, Any]) -> None:
        if branch.timeline != work["timeline"]:
            point = Point.read(work["point"])
            past = project.timelines[branch.timeline] if work["source"] == branch.id else None
            state = await self._history.cut(project, point, work["timeline"], past=past)
            await keep_passwords(self._computes, project, branch, work["timeline"])
            branch.current_state, branch.pending_state = "resetting", "ready"
            for endpoint in project.endpoints_of(branch):
                await self._doors.drop_connections(endpoint)
            await self._computes.stop(project, branch)
            old = branch.timeline
            if work["preserve"]:
                backup = preserve(project, branch, work["backup"], work["preserve"], self._clock.stamp())
                backup.backup = work["source"] == branch.id
            self._take_state(branch, work, point, log_position.write(state.position))
            if not work["preserve"]:
                await self._keeping.drop(project, old)
            if "halfway" in work:
                raise HalfDone(work["halfway"])
        if work.get("new_id", branch.id) != branch.id:
            branch = change_id(project, branch, work["backup"], work["new_id"])
        await self._mirror.read(project, branch)
        branch.current_state, branch.pending_state = "ready", None

    def _take_state(self, branch: Branch, work: dict[str, Any], point: Point, lsn: str) -> None:
        branch.timeline, branch.synced = work["timeline"], False
        if work["source"] != branch.id:
            branch.parent_id, branch.parent_lsn = work["source"], lsn
            branch.parent_timestamp = times.write(point.instant)
        if branch.expires_at is not None and branch.ttl_interval_seconds is not None:
            branch.expires_at = times.write(self._clock.after(branch.ttl_interval_seconds))
        branch.last_reset_at = branch.updated_at = branch.state_changed_at = self._clock.stamp()


async def keep_passwords(computes: Computes, project: Project, branch: Branch, timeline: str) -> None:
    """Let the state of a timeline, which no server runs on, have the branch's passwords: its connection strings stay."""
    server = await computes.start(project, branch)
    async with await server.connect() as connection:
        present = {role.name: role for role in await catalog.read_roles(connection)}
    fresh = computes.spare(computes.folder(timeline))
    try:
        await fresh.start({})
        async with await fresh.connect() as connection:
            for role in await catalog.read_roles(connection):
                known = present.get(role.name)
                if known is not None and known.verifier is not None and known.verifier != role.verifier:
                    await catalog.set_verifier(connection, role.name, known.verifier)
    finally:
        await fresh.stop()


def preserve(project: Project, branch: Branch, identity: str, name: str, now: str) -> Branch:
    """Make a branch's present state a branch of that id and name, and move its children there."""
    backup = Branch(
        id=identity,
        name=name,
        created_at=now,
        updated_at=now,
        state_changed_at=now,
        current_state="ready",
        parent_id=branch.parent_id,
        parent_lsn=branch.parent_lsn,
        parent_timestamp=branch.parent_timestamp,
        logical_size=branch.logical_size,
        roles=[Role(**vars(role)) for role in branch.roles],
        databases=[Database(**vars(database)) for database in branch.databases],
        synced=branch.synced,
        timeline=branch.timeline,
        init_source=branch.init_source,
    )
    for child in project.branches.values():
        if child.parent_id == branch.id:
            child.parent_id = identity
    project.branches[identity] = backup
    return backup


def change_id(project: Project, branch: Branch, backup: str, identity: str) -> Branch:
    """Give a restored branch a new id, and its old id to the branch that keeps its old state, if there is one."""
    old, moved = branch.id, {branch.id: identity, backup: branch.id}
    items = [project.branches.pop(known) for known in (old, backup) if known in project.branches]
    for item in items:
        item.id = moved[item.id]
        project.branches[item.id] = item
    for other in project.branches.values():
        other.parent_id = moved.get(other.parent_id or "", other.parent_id)
        other.restored_as = identity if other.restored_as == old else other.restored_as
    for snapshot in project.snapshots.values():  # a restore of one is for the branch in place, which has its name
        snapshot.source_branch_id = identity if snapshot.source_branch_id == old else snapshot.source_branch_id
    for endpoint in project.endpoints.values():
        endpoint.branch_id = identity if endpoint.branch_id == old else endpoint.branch_id
    return branch
