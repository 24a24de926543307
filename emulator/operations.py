"""The queue of work of each project: operations that run one after the other and survive a restart.

What is to be done is written in the state before it is begun, and each piece can be done twice, so an emulator that was
killed in the middle does it again.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from typing import TYPE_CHECKING, Any, Protocol

from emulator.state import UNFINISHED, Operation

if TYPE_CHECKING:
    from emulator.clock import Clock
    from emulator.faults import Switchboard
    from emulator.settings import Settings
    from emulator.state import Branch, Endpoint, Project, Store

log = logging.getLogger(__name__)


class Perform(Protocol):
    """Does the work of one operation (see work.py)."""

    async def __call__(self, project: Project, work: dict[str, Any]) -> None:
        """Do it, or raise."""


class Queue:
    """Runs operations."""

    def __init__(self, store: Store, clock: Clock, settings: Settings, faults: Switchboard, perform: Perform) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._faults = faults
        self._perform = perform
        self._runners: dict[str, asyncio.Task[None]] = {}

    def submit(self, project: Project, *operations: Operation) -> list[Operation]:
        """Add the operations of one request, in order, and start working on them."""
        project.operations.extend(operations)
        self._store.save()
        self.resume(project)
        return list(operations)

    def new(
        self,
        action: str,
        work: dict[str, Any],
        *,
        branch: Branch | None = None,
        endpoint: Endpoint | None = None,
        request: str = "",
    ) -> Operation:
        """An operation that waits to be submitted."""
        now = self._clock.stamp()
        return Operation(
            id=str(uuid.uuid4()),
            action=action,
            created_at=now,
            updated_at=now,
            work=work,
            request=request or str(uuid.uuid4()),
            branch_id=branch.id if branch else endpoint.branch_id if endpoint else None,
            endpoint_id=endpoint.id if endpoint else None,
        )

    def resume(self, project: Project) -> None:
        """Work on what is waiting, unless that is being done."""
        runner = self._runners.get(project.id)
        if project.busy and (runner is None or runner.done()):
            self._runners[project.id] = asyncio.create_task(self._run(project))

    async def close(self) -> None:
        """Leave the rest for the next start."""
        for runner in self._runners.values():
            runner.cancel()
        await asyncio.gather(*self._runners.values(), return_exceptions=True)

    async def drain(self, project: Project) -> None:
        """Wait until nothing of the project is under way."""
        runner = self._runners.get(project.id)
        if runner is not None:
            await asyncio.wait([runner])

    async def _run(self, project: Project) -> None:
        while True:
            waiting = [operation for operation in project.operations if operation.status in UNFINISHED]
            if not waiting:
                return
            await self._run_one(project, waiting[0])

    async def _run_one(self, project: Project, operation: Operation) -> None:
        began = time.monotonic()
        self._move(operation, "running")
        fault = self._faults.for_operation(operation.action)
        try:
            await asyncio.sleep(self._settings.operation_seconds + (fault.seconds if fault else 0))
            if fault is not None and fault.forever:
                await self._faults.until_cleared()
            if fault is not None and fault.halfway:
                await self._perform(project, operation.work | {"halfway": fault.message or "stopped half-way"})
            elif fault is None or not fault.message:
                await self._perform(project, operation.work)
            else:
                operation.error = fault.message
        except Exception as failure:  # noqa: BLE001 - whatever it is, the operation failed and the queue goes on
            log.warning("operation %s of %s failed: %s", operation.action, project.id, failure)
            operation.error = str(failure) or type(failure).__name__
        if operation.error is not None:
            operation.failures_count += 1
            self._give_up(project, operation)
        operation.total_duration_ms = int((time.monotonic() - began) * 1000)
        self._move(operation, "failed" if operation.error else "finished")

    def _give_up(self, project: Project, operation: Operation) -> None:
        """Give up the rest of the request; the mirror of the catalogs must be read anew."""
        for other in project.operations:
            if other.request == operation.request and other.status == "scheduling":
                self._move(other, "cancelled")
        branch = project.branches.get(operation.branch_id or "")
        if branch is not None:
            branch.synced = False
        snapshot = project.snapshots.get(operation.work.get("snapshot", ""))
        if snapshot is not None and not snapshot.ready:
            del project.snapshots[snapshot.id]  # it was not taken

    def _move(self, operation: Operation, status: str) -> None:
        operation.status, operation.updated_at = status, self._clock.stamp()
        self._store.save()
