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
    from emulator.state import Branch, Project

_PERIOD = 0.25
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
            for snapshot in list(project.snapshots.values()):
                if not project.busy and snapshot.expires_at and control.clock.seconds_since(snapshot.expires_at) >= 0:
                    control.queue.submit(project, removal(control.queue, project, snapshot))
            if not project.busy:
                try:
                    control.keeping.look_at(project)
                except Exception:
                    log.exception("housekeeping of the history of %s", project.id)
        await asyncio.sleep(_PERIOD)


async def _look_at(control: Control, project: Project, branch: Branch) -> None:
    queue, clock = control.queue, control.clock
    if branch.deleted_at is not None:
        if clock.seconds_since(branch.deleted_at) > RECOVERABLE.total_seconds() and not project.busy:
            work = {"do": "remove_branch", "branch": branch.id}
            queue.submit(project, queue.new("delete_timeline", work, branch=branch))
    elif branch.expires_at is not None and clock.seconds_since(branch.expires_at) >= 0 and not project.busy:
        mark_deleted(branch, clock.stamp(), "ttl")
        queue.submit(project, queue.new("delete_timeline", {"do": "close_branch", "branch": branch.id}, branch=branch))
    elif control.computes.running(branch) and await control.computes.is_idle(project, branch) and not project.busy:
        endpoint = next(iter(project.endpoints_of(branch)), None)
        work = {"do": "suspend", "branch": branch.id}
        queue.submit(project, queue.new("suspend_compute", work, branch=branch, endpoint=endpoint))
