"""Snapshots: the state of a root branch at a moment, kept as a stopped data directory, and made a branch again.

The data of a snapshot is a folder like a timeline's, under the snapshot's id. A restore copies it to a branch of its own, whose
history begins with it. Finalizing a restore puts that branch in the place of the one that it was restored for.

Each piece of work can be done twice: a kill leaves what was before, or what is wanted, or something that is made again.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from emulator.history import Point
from emulator.restoring import keep_passwords
from emulator.servers import log_position
from emulator.servers.copying import copy_entries
from emulator.state import Timeline

if TYPE_CHECKING:
    from emulator.clock import Clock
    from emulator.computes import Computes
    from emulator.doors import Doors
    from emulator.history import History
    from emulator.mirror import Mirror
    from emulator.settings import Settings
    from emulator.state import Branch, Project

# What a finalized restore gives to the branch that takes the place of another one, and takes from that one.
_MOVED = ("name", "default", "protected", "expires_at", "ttl_interval_seconds")
# What makes a branch the same one to whoever knows its id: everything else changes places when the ids are kept.
_OF_THE_ID = ("id", "created_at", "backup", *_MOVED)


class Snapshots:
    """Does what the routes of snapshots ask for."""

    def __init__(
        self, computes: Computes, history: History, doors: Doors, mirror: Mirror, clock: Clock, settings: Settings
    ) -> None:
        self._computes = computes
        self._history = history
        self._doors = doors
        self._mirror = mirror
        self._clock = clock
        self._settings = settings

    async def take(self, project: Project, branch: Branch, work: dict[str, Any]) -> None:
        """Bring a point of a root branch into the folder of a snapshot; one that cannot be made is not there."""
        snapshot = project.snapshots[work["snapshot"]]
        folder, point = self._computes.folder(snapshot.id), Point.read(work["point"])
        try:
            self._computes.account.make_folder(folder)
            state = await self._history.materialise(project, point, folder / "making")
            with self._computes.account.acting():
                shutil.rmtree(folder / "data", ignore_errors=True)
                state.data.rename(folder / "data")
                shutil.rmtree(folder / "making")
        except Exception:
            del project.snapshots[snapshot.id]
            shutil.rmtree(folder, ignore_errors=True)
            raise
        snapshot.lsn = point.lsn if state.exact else log_position.write(state.position)
        snapshot.postgres, snapshot.begin, snapshot.position = state.postgres, state.begin, state.position
        snapshot.full_size, snapshot.ready = branch.logical_size, True

    async def remove(self, project: Project, _: Branch, work: dict[str, Any]) -> None:
        """Delete a snapshot for good. Branches that were restored from it have their own copy."""
        project.snapshots.pop(work["snapshot"], None)
        shutil.rmtree(self._computes.folder(work["snapshot"]), ignore_errors=True)

    async def restore(self, project: Project, branch: Branch, work: dict[str, Any]) -> None:
        """Give a new branch the data of a snapshot."""
        snapshot = project.snapshots[work["snapshot"]]
        server = self._computes.cluster(branch)
        await server.stop(immediate=True)  # of a run that was killed
        self._computes.account.make_folder(server.folder)
        await copy_entries(self._computes.account, self._computes.folder(snapshot.id) / "data", server.data)
        project.timelines[branch.timeline] = Timeline(
            id=branch.timeline,
            postgres=snapshot.postgres,
            begin=snapshot.begin,
            begun=datetime.now(UTC).timestamp(),
            cut=snapshot.position,
            floor=snapshot.position,
            floor_time=datetime.now(UTC).timestamp(),
        )
        await self._mirror.read(project, branch)
        branch.current_state, branch.pending_state = "ready", None
        branch.state_changed_at = branch.updated_at = self._clock.stamp()

    async def finalize(self, project: Project, branch: Branch, work: dict[str, Any]) -> None:
        """Put a restored branch in the place of the one that it was restored for, which stays under another name."""
        target = project.branches[work["target"]]
        if branch.restored_as is None:
            return  # done before the kill
        for endpoint in (*project.endpoints_of(target), *project.endpoints_of(branch)):
            await self._doors.drop_connections(endpoint)
        await self._computes.stop(project, branch)
        await keep_passwords(self._computes, project, target, branch.timeline)
        await self._computes.stop(project, target)
        if self._settings.restored_id == "kept":
            self._change_states(project, branch, target, work["name"])
        else:
            for endpoint in project.endpoints_of(branch):
                await self._doors.close(endpoint)
                del project.endpoints[endpoint.id]  # a branch has one read-write compute: the target's is the known one
            self._change_places(project, branch, target, work["name"])
        branch.restored_as = None
        for each in (branch, target):
            each.synced, each.updated_at = False, self._clock.stamp()
            await self._mirror.read(project, each)

    def _change_places(self, project: Project, branch: Branch, target: Branch, name: str) -> None:
        """The restored branch keeps its id, and gets the other's name, computes and protection."""
        for endpoint in project.endpoints_of(target):
            endpoint.branch_id = branch.id
        for field in _MOVED:
            setattr(branch, field, getattr(target, field))
        target.name, target.default, target.protected = name, False, False
        target.expires_at = target.ttl_interval_seconds = None
        branch.backup, target.backup = target.backup, True

    def _change_states(self, project: Project, branch: Branch, target: Branch, name: str) -> None:
        """The target keeps its id, name and computes, and gets the restored state; the other branch gets its old one."""
        for field in vars(branch):
            if field not in _OF_THE_ID:
                mine, theirs = getattr(branch, field), getattr(target, field)
                setattr(branch, field, theirs)
                setattr(target, field, mine)
        branch.name, branch.backup = name, True
        target.restored_as = None
        swapped = {branch.id: target.id, target.id: branch.id}
        for child in project.branches.values():  # children follow the state that they were cut from, deleted ones too
            child.parent_id = swapped.get(child.parent_id or "", child.parent_id)
