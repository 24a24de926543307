"""What happens by itself as time goes by: suspension, expiry, the end of recovery."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from emulator.routes.branches import mark_deleted
from emulator.routes.snapshots import removal
from emulator.shapes import RECOVERABLE

if TYPE_CHECKING:
    from emulator.control import Control
    from emulator.state import Branch, Operation, Project

_PERIOD = 0.25
_LONGEST_PAUSE = 60.0  # seconds of the emulator's clock between two attempts at work that fails
log = logging.getLogger(__name__)


async def keep_house(control: Control) -> None:
    """Look at everything a few times a second, for ever. A failure is logged and the next round tries again."""
    while True:
        for project in list(control.store.projects.values()):
            if project.busy:
                continue
            for branch in list(project.branches.values()):
                try:
                    await _look_at(control, project, branch)
                except Exception:
                    log.exception("housekeeping of %s", branch.id)
            try:
                for snapshot in list(project.snapshots.values()):
                    if snapshot.expires_at and control.clock.seconds_since(snapshot.expires_at) >= 0:
                        _begin(control, project, removal(control.queue, project, snapshot))
                if not project.busy:
                    control.keeping.look_at(project)
            except Exception:
                log.exception("housekeeping of the snapshots and the history of %s", project.id)
        await asyncio.sleep(_PERIOD)


async def _look_at(control: Control, project: Project, branch: Branch) -> None:
    queue, clock, running = control.queue, control.clock, control.computes.running(branch)
    if branch.deleted_at is not None:
        gone = clock.seconds_since(branch.deleted_at) > RECOVERABLE.total_seconds()
        if gone or (running and not control.history.replaying):  # it runs when closing it failed, or for a replay
            work = {"do": "remove_branch" if gone else "close_branch", "branch": branch.id}
            _begin(control, project, queue.new("delete_timeline", work, branch=branch))
    elif branch.expires_at is not None and clock.seconds_since(branch.expires_at) >= 0:
        closing = queue.new("delete_timeline", {"do": "close_branch", "branch": branch.id}, branch=branch)
        if _begin(control, project, closing):
            mark_deleted(branch, clock.stamp(), "ttl")
    elif running and await control.computes.is_idle(project, branch):
        endpoint = next(iter(project.endpoints_of(branch)), None)
        work = {"do": "suspend", "branch": branch.id}
        _begin(control, project, queue.new("suspend_compute", work, branch=branch, endpoint=endpoint))


def _begin(control: Control, project: Project, operation: Operation) -> bool:
    """Submit an operation, unless others are under way or about to be, or the same work failed and its pause is not over."""
    failed: list[Operation] = []
    for earlier in reversed(project.operations):
        if earlier.work == operation.work:
            if earlier.status != "failed":
                break
            failed.append(earlier)
    pause = min(_LONGEST_PAUSE, 2.0 ** len(failed)) if failed else 0.0
    if (
        project.busy
        or control.changing[project.id].locked()
        or (failed and control.clock.seconds_since(failed[0].updated_at) < pause)
    ):
        return False
    control.queue.submit(project, operation)
    return True
