"""How much of the past is kept: base copies are made as the log grows, and what nobody needs any more is removed.

A replay takes time by the length of its log, so a branch gets a base copy when the log from the last one is longer than its
data (and than 128 MB). So base copies cost no more than the log that they shorten. What lies before the project's history
window goes, but for the base copy from which the window's first moment is reached.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from emulator.servers.catalog import read_databases
from emulator.servers.copying import copy_branch
from emulator.servers.log_position import SEGMENT_BYTES, Segment
from emulator.state import Base
from emulator.timelines import Needed, needed, plan_replay

if TYPE_CHECKING:
    from pathlib import Path

    from emulator.computes import Computes
    from emulator.history import History
    from emulator.state import Branch, Project, Store, Timeline

_MAKING = "making"  # a base copy that is under way
_LEAST = 128 << 20  # bytes of log
_LOOK_AGAIN_SECONDS = 2.0  # the data may have shrunk
log = logging.getLogger(__name__)


class Keeping:
    """Keeps the past short."""

    def __init__(self, computes: Computes, history: History, store: Store) -> None:
        self._computes = computes
        self._history = history
        self._store = store
        self._account = computes.account
        # when the log folder of a timeline last changed, and was looked at
        self._seen: dict[str, tuple[int, float]] = {}
        self._kept: dict[str, dict[str, Needed]] = {}  # what was needed of a project when it was last looked at
        self._copying: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Leave half-made copies to the next start."""
        await asyncio.gather(*(self.stop_copying(timeline) for timeline in list(self._copying)))

    async def stop_copying(self, timeline: str) -> None:
        """End the base copy of a timeline that is under way, before its folder is removed."""
        task = self._copying.pop(timeline, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def look_at(self, project: Project) -> None:
        """Do what is due for a project that runs no operations. Copies are made aside."""
        for branch in project.living():
            task = self._copying.get(branch.timeline)
            if branch.current_state == "ready" and self._computes.running(branch) and (task is None or task.done()):
                self._look_at_log(project, branch)
        self.prune(project)

    def _look_at_log(self, project: Project, branch: Branch) -> None:
        folder = self._history.log_folder(branch.timeline)
        with self._account.acting():
            changed = folder.stat().st_mtime_ns
        seen, now = self._seen.get(branch.timeline), time.monotonic()
        if seen is not None and seen[0] == changed and now - seen[1] < _LOOK_AGAIN_SECONDS:
            return
        self._seen[branch.timeline] = (changed, now)
        timeline = self._history.timeline(project, branch)
        newest = max(self._history.segments(branch.timeline), default=Segment(0, 1))
        if self._wants_base(project, timeline, newest, _LEAST):
            self._copying[timeline.id] = asyncio.create_task(self._take_base(project, branch, timeline, newest))

    def _wants_base(self, project: Project, timeline: Timeline, newest: Segment, most: int) -> bool:
        way = plan_replay(project.timelines, timeline, newest.begin)
        if way is None:
            return True
        limit = most // SEGMENT_BYTES
        own = newest.number - max([timeline.begin, *(base.first for base in timeline.bases)])
        return own * 2 >= limit and sum(part.last - part.first for part in way.stretches) >= limit

    async def _take_base(self, project: Project, branch: Branch, timeline: Timeline, newest: Segment) -> None:
        server, folder = self._computes.cluster(branch), self._computes.folder(timeline.id) / "bases"
        making = folder / _MAKING
        try:
            async with await server.connect() as connection:
                _, size = await read_databases(connection)
            if not self._wants_base(project, timeline, newest, max(_LEAST, size)):
                return  # the data has grown with the log
            self._account.make_folder(folder)
            copy = await copy_branch(server, making, self._account)
            place = folder / f"{copy.position:X}"
            with self._account.acting():
                making.rename(place)
            path = str(place.relative_to(self._computes.root))
            taken = datetime.now(UTC).timestamp()
            timeline.bases.append(Base(path, copy.position, copy.first.number, taken))
            self._store.save()
        except Exception as failure:  # noqa: BLE001 - the server was stopped meanwhile: there will be another occasion
            log.warning("no base copy of %s: %s", branch.id, failure)

    async def drop(self, project: Project, timeline: str) -> None:
        """Let a timeline go, whose server is stopped, as far as no other needs it."""
        await self.stop_copying(timeline)
        found = project.timelines.get(timeline)
        if found is not None:
            found.dropped = True
        self._store.save()  # first: nothing goes that the state on the disk still counts on
        if found is None:
            shutil.rmtree(self._computes.folder(timeline), ignore_errors=True)
        else:
            self.prune(project)

    def prune(self, project: Project) -> None:
        """Remove what nobody needs: base copies, log, and timelines of branches that are gone.

        While a replay reads them nothing goes; there will be another occasion.
        """
        if self._history.replaying:
            return
        need = needed(project.timelines, self._history.horizon(project).timestamp())
        if self._kept.get(project.id) == need:
            return
        timelines = list(project.timelines.values())
        done = [self._prune(project, timeline, need[timeline.id]) for timeline in timelines]
        if all(done):
            self._kept[project.id] = need

    def _prune(self, project: Project, timeline: Timeline, need: Needed) -> bool:
        folder = self._computes.folder(timeline.id)
        if timeline.dropped and not need.bases and not need.stretches:
            del project.timelines[timeline.id]
            self._store.save()
            shutil.rmtree(folder, ignore_errors=True)
            return True
        if len(need.bases) < len(timeline.bases):
            timeline.bases = [base for base in timeline.bases if base.path in need.bases]
            self._store.save()
        self._remove_bases(timeline, folder / "bases")
        if timeline.dropped:
            self._keep_log_only(folder / "data")
        return self._remove_log(timeline, need)

    def _remove_bases(self, timeline: Timeline, folder: Path) -> None:
        known, task = {base.path for base in timeline.bases}, self._copying.get(timeline.id)
        copying = task is not None and not task.done()
        with self._account.acting():
            found = list(folder.iterdir()) if folder.exists() else []
        for entry in found:
            wanted = copying if entry.name == _MAKING else str(entry.relative_to(self._computes.root)) in known
            if not wanted:
                shutil.rmtree(entry, ignore_errors=True)

    def _keep_log_only(self, data: Path) -> None:
        with self._account.acting():
            entries = [entry for entry in data.iterdir() if entry.name != "pg_wal"]
            for entry in entries:
                if entry.is_dir():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink()

    def _remove_log(self, timeline: Timeline, need: Needed) -> bool:
        """Remove segments; false when a replication slot may still want some.

        The server itself never does: its last checkpoint is not older than its newest base copy.
        """
        folder = self._history.log_folder(timeline.id)
        with self._account.acting():
            slots = folder.parent / "pg_replslot"
            if slots.exists() and any(slots.iterdir()):
                return False
        for segment in self._history.segments(timeline.id):
            own = segment.timeline == timeline.postgres and segment.number >= timeline.begin
            if own and not need.holds(segment.number):
                with self._account.acting():
                    (folder / segment.name).unlink(missing_ok=True)
        return True
