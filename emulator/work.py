"""What operations do. Each piece is given as data (kept in the state) and can be done twice with the same result."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from emulator import names
from emulator.errors import ApiError
from emulator.history import Moment, Point
from emulator.restoring import HalfDone, Restoring
from emulator.servers import catalog, log_position
from emulator.servers.emptying import empty

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from emulator.clock import Clock
    from emulator.computes import Computes
    from emulator.doors import Doors
    from emulator.history import History
    from emulator.keeping import Keeping
    from emulator.mirror import Mirror
    from emulator.snapshots import Snapshots
    from emulator.state import Branch, Project

    Step = Callable[[Project, Branch, dict[str, Any]], Awaitable[None]]


# What is done once its branch is not there any more.
_ENDING = ("suspend", "close_endpoint", "close_branch", "remove_branch")


class Work:
    """Does the work of operations on servers and in the state."""

    def __init__(
        self,
        computes: Computes,
        history: History,
        keeping: Keeping,
        doors: Doors,
        mirror: Mirror,
        clock: Clock,
        snapshots: Snapshots,
    ) -> None:
        self._computes = computes
        self._keeping = keeping
        self._history = history
        self._doors = doors
        self._mirror = mirror
        self._clock = clock
        self._steps: dict[str, Step] = {
            "create_root": self._create_root,
            "copy_parent": self._copy_parent,
            "restore": Restoring(computes, history, keeping, doors, mirror, clock),
            "take_snapshot": snapshots.take,
            "remove_snapshot": snapshots.remove,
            "restore_snapshot": snapshots.restore,
            "finalize_restore": snapshots.finalize,
            "start": self._start,
            "start_again": self._start_again,
            "suspend": self._suspend,
            "configure": self._configure,
            "put_role": self._put_role,
            "drop_role": self._drop_role,
            "put_database": self._put_database,
            "rename_database": self._rename_database,
            "drop_database": self._drop_database,
            "close_branch": self._close_branch,
            "remove_branch": self._remove_branch,
            "close_endpoint": self._close_endpoint,
        }

    async def __call__(self, project: Project, work: dict[str, Any]) -> None:
        """Do one piece of work."""
        branch = project.branches.get(work["branch"]) or project.branches.get(work.get("new_id", ""))
        if branch is None:
            if work["do"] in _ENDING:
                return  # done before a kill
            raise ApiError(404, "the branch is gone")
        await self._steps[work["do"]](project, branch, work)

    async def _create_root(self, project: Project, branch: Branch, _: dict[str, Any]) -> None:
        await self._computes.create(branch)
        await self._history.begin(project, branch)
        cluster = await self._computes.start(project, branch)
        async with await cluster.connect() as connection:
            for role in branch.roles:
                await catalog.put_role(connection, role.name, role.password)
            for database in branch.databases:
                await catalog.put_database(connection, database.name, database.owner_name)
        await self._mirror.read(project, branch)
        self._settle(branch)

    async def _copy_parent(self, project: Project, branch: Branch, work: dict[str, Any]) -> None:
        point = Point.read(work["point"])
        await self._computes.cluster(branch).stop(immediate=True)  # of a run that was killed
        state = await self._history.cut(project, point, branch.timeline)
        branch.parent_lsn = point.lsn if state.exact else log_position.write(state.position)
        if work.get("schema_only"):
            await self._empty(project, branch)
        if work["new_passwords"]:
            await self._mirror.read(project, branch)
            cluster = await self._computes.start(project, branch)
            async with await cluster.connect() as connection:
                with_password = {found.name for found in await catalog.read_roles(connection) if found.verifier}
                for role in branch.roles:
                    if role.name in with_password:
                        role.password = role.password or names.password()  # also of a role made in SQL
                        await catalog.set_password(connection, role.name, role.password)
        if "halfway" in work:
            raise HalfDone(work["halfway"])
        self._settle(branch)

    async def _empty(self, project: Project, branch: Branch) -> None:
        """Leave the structure only. The branch is a root, whose history begins now."""
        server = await self._computes.start(project, branch)
        async with await server.connect() as connection:
            databases, _ = await catalog.read_databases(connection)
        for name in ["postgres", *(database.name for database in databases)]:
            async with await server.connect(name) as connection:
                await empty(connection)
        branch.parent_lsn = None
        now = await self._history.resolve(project, branch, Moment())
        timeline = self._history.timeline(project, branch)
        timeline.floor, timeline.floor_time = now.position, time.time()
        await self._mirror.read(project, branch)

    async def _start(self, project: Project, branch: Branch, work: dict[str, Any]) -> None:
        endpoint = project.endpoints[work["endpoint"]]
        branch = project.branches[endpoint.branch_id]  # a restore may have moved the endpoint
        await self._doors.open(project, endpoint)
        if work.get("restart"):
            await self._computes.restart(project, branch)
        if not endpoint.disabled:
            await self._computes.start(project, branch)
            self._computes.mark_active(endpoint)
        else:
            endpoint.current_state = "idle"

    async def _start_again(self, project: Project, _: Branch, work: dict[str, Any]) -> None:
        """The compute may have another branch by now."""
        branch = project.branches[project.endpoints[work["endpoint"]].branch_id]
        await self._start(project, branch, {**work, "restart": True})

    async def _suspend(self, project: Project, branch: Branch, _: dict[str, Any]) -> None:
        if self._computes.running(branch):
            await self._mirror.read(project, branch)
            await self._computes.stop(project, branch)

    async def _configure(self, project: Project, branch: Branch, work: dict[str, Any]) -> None:
        endpoint = project.endpoints[work["endpoint"]]
        await self._doors.drop_connections(endpoint)
        if work.get("left"):
            await self._computes.stop(project, project.branches[work["left"]])
        if endpoint.disabled:
            await self._suspend(project, branch, work)
            endpoint.current_state = "idle"
        else:
            await self._computes.restart(project, branch)

    async def _put_role(self, project: Project, branch: Branch, work: dict[str, Any]) -> None:
        role = next(role for role in branch.roles if role.name == work["role"])
        async with await self._configured(project, branch) as connection:
            await catalog.put_role(connection, role.name, role.password)
        await self._mirror.read(project, branch)

    async def _drop_role(self, project: Project, branch: Branch, work: dict[str, Any]) -> None:
        async with await self._configured(project, branch) as connection:
            await catalog.drop_role(connection, work["role"])
        await self._mirror.read(project, branch)

    async def _put_database(self, project: Project, branch: Branch, work: dict[str, Any]) -> None:
        async with await self._configured(project, branch) as connection:
            await catalog.put_database(connection, work["database"], work["owner"])
        await self._mirror.read(project, branch)

    async def _rename_database(self, project: Project, branch: Branch, work: dict[str, Any]) -> None:
        async with await self._configured(project, branch) as connection:
            await catalog.rename_database(connection, work["database"], work["name"])
        await self._mirror.read(project, branch)

    async def _drop_database(self, project: Project, branch: Branch, work: dict[str, Any]) -> None:
        async with await self._configured(project, branch) as connection:
            await catalog.drop_database(connection, work["database"])
        await self._mirror.read(project, branch)

    async def _configured(self, project: Project, branch: Branch) -> Any:
        """A superuser's connection, after dropping the clients: Neon applies a configuration that way."""
        for endpoint in project.endpoints_of(branch):
            await self._doors.drop_connections(endpoint)
        cluster = await self._computes.start(project, branch)
        for endpoint in project.endpoints_of(branch):
            if not endpoint.disabled:
                self._computes.mark_active(endpoint)
        return await cluster.connect()

    async def _close_branch(self, project: Project, branch: Branch, _: dict[str, Any]) -> None:
        for endpoint in project.endpoints_of(branch):
            await self._doors.close(endpoint)
        await self._suspend(project, branch, {})

    async def _remove_branch(self, project: Project, branch: Branch, _: dict[str, Any]) -> None:
        for endpoint in project.endpoints_of(branch):
            await self._doors.close(endpoint)
        await self._computes.discard(branch.timeline)
        for endpoint in project.endpoints_of(branch):
            del project.endpoints[endpoint.id]
        del project.branches[branch.id]
        await self._keeping.drop(project, branch.timeline)

    async def _close_endpoint(self, project: Project, branch: Branch, work: dict[str, Any]) -> None:
        endpoint = project.endpoints.get(work["endpoint"])
        if endpoint is None:
            return
        await self._doors.close(endpoint)
        await self._suspend(project, branch, work)
        del project.endpoints[endpoint.id]

    def _settle(self, branch: Branch) -> None:
        branch.current_state, branch.pending_state = "ready", None
        branch.state_changed_at = branch.updated_at = self._clock.stamp()
