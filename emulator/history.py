"""The past of branches: what a branch was at a log position or a time, made into a data directory again.

For whoever builds on it (branches at a past moment, restore, snapshots, schema at a position):

    point = await history.resolve(project, branch, Moment(position=...))     # or Moment(instant=...), or Moment() for now
    state = await history.materialise(project, point, folder)                # the state, stopped, in folder/data

`resolve` refuses what is not there, with an exception of its own for each reason; `materialise` only fails when the
machine does. Whoever wants a branch of it calls `cut`, which also notes where the branch's history comes from. Each can be
done twice with the same result, so an operation that a kill interrupted is done again.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, LiteralString

from emulator import clock as times
from emulator.servers import log_position
from emulator.servers.control_file import read_control_file
from emulator.servers.copying import copy_branch
from emulator.servers.log_position import Segment
from emulator.servers.log_reading import LogGone, LogReader
from emulator.servers.replaying import replay
from emulator.state import Base, Timeline
from emulator.timelines import Replay, owner_at, owner_of, plan_replay

if TYPE_CHECKING:
    from pathlib import Path

    from emulator.clock import Clock
    from emulator.computes import Computes
    from emulator.servers import Cluster
    from emulator.state import Branch, Project

_TIP: LiteralString = "SELECT pg_current_snapshot()::text, pg_current_wal_insert_lsn()::text"
_TEMPLATE = "template/data"
# A record after the position at which a replay ends, so that the replay sees its end; the switch writes it out.
_MARK: LiteralString = "SELECT pg_logical_emit_message(false, 'emulator', ''), pg_switch_wal()"

_AHEAD = 2  # segments that a server may make before it writes to them


class Refused(Exception):
    """A moment that a branch cannot be brought to. The message is for the caller of the API."""


class BeforeHistory(Refused):
    """The moment lies before the history that the project keeps."""


class BeforeBranch(Refused):
    """The branch did not exist then."""


class NotYet(Refused):
    """The moment lies ahead, or the position has not been written."""


@dataclass(frozen=True)
class Moment:
    """A moment as it is asked for: a log position, or an instant of the emulator's clock, or neither for now."""

    position: int | None = None
    instant: datetime | None = None


@dataclass(frozen=True)
class Point:
    """A moment of a branch that can be reached.

    The state is that before the first record which begins at `position` or later in the log of `timeline`. `instant` is
    when it was the present (the emulator's clock). `committed` is set for now: see servers/copying.py.
    """

    timeline: str
    position: int
    instant: datetime
    committed: str | None = None

    @property
    def lsn(self) -> str:
        """The position as the API writes it."""
        return log_position.write(self.position)

    def write(self) -> dict[str, Any]:
        """The point as the work of an operation keeps it."""
        return asdict(self) | {"instant": self.instant.isoformat()}

    @classmethod
    def read(cls, item: dict[str, Any]) -> Point:
        """The point that `write` wrote."""
        return cls(**item | {"instant": times.read(item["instant"])})


@dataclass(frozen=True)
class State:
    """A data directory of a stopped server that holds the state at `position`.

    Its own log has PostgreSQL's timeline id `postgres` and begins with the segment number `begin`. `exact`: it is the state
    that was asked for; otherwise it is a later one, because no base copy was left to replay from.
    """

    data: Path
    position: int
    postgres: int
    begin: int
    exact: bool = True


class History:
    """Finds moments, and brings them back."""

    def __init__(self, computes: Computes, clock: Clock) -> None:
        self._computes = computes
        self._clock = clock
        self._account = computes.account
        self._reader = LogReader(computes.programs, computes.account)
        self.replaying = 0  # how many replays are under way: base copies and log must stay

    def timeline(self, project: Project, branch: Branch) -> Timeline:
        """The timeline of a branch. One that an earlier emulator made has no past."""
        found = project.timelines.get(branch.timeline)
        if found is None:
            now = datetime.now(UTC).timestamp()
            segments = self.segments(branch.timeline)
            begin = segments[0] if segments else Segment(0, 1)
            position = segments[-1].begin if segments else 0
            found = Timeline(branch.timeline, begin.timeline, begin.number, now, 0, position, now)
            project.timelines[branch.timeline] = found
        return found

    async def begin(self, project: Project, branch: Branch) -> None:
        """Note that the history of a root branch begins: it is a fresh copy of the template, which is its first base."""
        if branch.timeline in project.timelines:
            return
        control = await read_control_file(self._computes.root / _TEMPLATE, self._computes.programs, self._account)
        first, now = Segment.at(control.redo, control.timeline), datetime.now(UTC).timestamp()
        base = Base(_TEMPLATE, control.redo, first.number, now)
        project.timelines[branch.timeline] = Timeline(
            branch.timeline, control.timeline, first.number, now, control.redo, control.redo, now, bases=[base]
        )

    async def resolve(self, project: Project, branch: Branch, moment: Moment) -> Point:
        """The point that a moment of a branch is; BeforeHistory, BeforeBranch or NotYet when there is none."""
        server = await self._computes.start(project, branch)
        async with await server.connect() as connection:
            found = await (await connection.execute(_TIP)).fetchone()
        committed, tip = (str(value) for value in found or ())
        now = Point(branch.timeline, log_position.parse(tip), self._clock.now(), committed)
        if moment.position is not None:
            return await self._at_position(project, branch, moment.position, now)
        if moment.instant is not None:
            return await self._at_instant(project, branch, moment.instant, now)
        return now

    async def _at_position(self, project: Project, branch: Branch, position: int, now: Point) -> Point:
        timeline, lsn = self.timeline(project, branch), log_position.write(position)
        if position > now.position:
            raise NotYet(f"the position {lsn} is not there yet; the branch has written its log up to {now.lsn}")
        if position < timeline.floor:
            raise BeforeBranch(
                f"the position {lsn} is before the branch existed; its history begins at"
                f" {log_position.write(timeline.floor)}"
            )
        owner = owner_of(project.timelines, timeline, position)
        log, horizon = self.log_folder(owner.id), self.horizon(project)
        try:
            following = await self._reader.first_commit_from(log, position, owner.postgres)
        except LogGone:
            raise BeforeHistory(f"the position {lsn} is {self._window(project, horizon)}") from None
        if following is not None and following.instant < horizon:
            raise BeforeHistory(f"the position {lsn} is {self._window(project, horizon)}")
        before = await self._reader.last_commit_before(log, position, owner.postgres)
        real = before or datetime.fromtimestamp(owner.begun, UTC)
        return Point(owner.id, position, self._clock.told(real))

    async def _at_instant(self, project: Project, branch: Branch, instant: datetime, now: Point) -> Point:
        timeline, told, real = self.timeline(project, branch), instant.isoformat(), self._clock.real(instant)
        if instant > now.instant:
            raise NotYet(f"the time {told} lies in the future; it is {now.instant.isoformat()}")
        if real.timestamp() < timeline.floor_time:
            began = self._clock.told(datetime.fromtimestamp(timeline.floor_time, UTC))
            raise BeforeBranch(
                f"the time {told} is before the branch existed; its history begins at {began.isoformat()}"
            )
        horizon = self.horizon(project)
        if real < horizon:
            raise BeforeHistory(f"the time {told} is {self._window(project, horizon)}")
        owner, end = owner_at(project.timelines, timeline, real.timestamp())
        begin = Segment(owner.begin, owner.postgres)
        following = await self._reader.first_commit_after(self.log_folder(owner.id), real, begin)
        if following is not None:
            end = min(end, following.position)
        return Point(owner.id, min(end, now.position), instant)

    def horizon(self, project: Project) -> datetime:
        """The machine's time since which the project keeps its history."""
        return self._clock.real(self._clock.now() - timedelta(seconds=project.history_retention_seconds))

    def _window(self, project: Project, horizon: datetime) -> str:
        begin = times.write(self._clock.told(horizon))
        return (
            f"outside of the history window, which begins at {begin};"
            f' history_retention_seconds:"{project.history_retention_seconds}"'
        )

    async def materialise(self, project: Project, point: Point, folder: Path) -> State:
        """Make `folder` (absent or half-made, below a folder of the servers' account) hold the state at a point.

        `folder/data` is a data directory like a branch's, and nothing runs in it. The present is copied while its server
        runs, as long as no transaction ends between the point and the copy; everything else is replayed. ServerFailed or
        CopyFailed when the machine does not play along, for instance because the disk is full.
        """
        making = self._computes.spare(folder)
        await making.adopt()
        await making.stop(immediate=True)
        shutil.rmtree(folder, ignore_errors=True)
        self._account.make_folder(folder)
        self.replaying += 1  # what the way needs stays from the moment that it is planned
        try:
            return await self._reach(project, point, making)
        finally:
            self.replaying -= 1

    async def _reach(self, project: Project, point: Point, making: Cluster) -> State:
        owner = next((branch for branch in project.branches.values() if branch.timeline == point.timeline), None)
        way = plan_replay(project.timelines, project.timelines[point.timeline], point.position)
        if owner is not None and (point.committed is not None or way is None):
            server = await self._computes.start(project, owner)
            state = await self._copy(server, point, making)
            if state.exact or way is None:
                return state
        if way is None:
            raise BeforeHistory(f"nothing is left from which the position {point.lsn} could be reached")
        if owner is not None:
            await self._mark(project, owner, point)
        return await self._replay(project, way, point, making)

    async def _copy(self, server: Cluster, point: Point, making: Cluster) -> State:
        async with server.lock:
            copy = await copy_branch(server, making.data, self._account)
        exact = copy.committed == point.committed
        return State(making.data, copy.position, copy.last.timeline, copy.last.number + 1, exact)

    async def _mark(self, project: Project, owner: Branch, point: Point) -> None:
        """See that the log goes on after the point, on the disk."""
        newest = max(self.segments(owner.timeline), default=Segment(0, 1))
        if newest.number > Segment.at(point.position, 1).number + _AHEAD:
            return
        server = await self._computes.start(project, owner)
        async with await server.connect() as connection:
            found = await (await connection.execute("SELECT pg_current_wal_flush_lsn()::text")).fetchone()
            written = log_position.parse(str(found[0])) if found else 0
            if written < point.position + log_position.SEGMENT_BYTES:
                await connection.execute(_MARK)

    async def _replay(self, project: Project, way: Replay, point: Point, making: Cluster) -> State:
        timeline = project.timelines[point.timeline].postgres
        log: list[Path] = []
        for stretch in way.stretches:
            folder, own = self.log_folder(stretch.timeline), project.timelines[stretch.timeline].postgres
            log += [
                folder / segment.name
                for segment in self._reader.segments(folder)
                if segment.timeline == own and stretch.first <= segment.number <= stretch.last
            ]
        if timeline > 1:
            log.append(self.log_folder(point.timeline) / f"{timeline:08X}.history")
        base = self._computes.root / way.base.path
        await replay(self._account, making, base, log, point.position, timeline)
        control = await read_control_file(making.data, self._computes.programs, self._account)
        segments = self._reader.segments(making.data / "pg_wal")
        begin = min(segment for segment in segments if segment.timeline == control.timeline)
        return State(making.data, point.position, control.timeline, begin.number)

    async def cut(self, project: Project, point: Point, timeline: str, *, past: Timeline | None = None) -> State:
        """Make a timeline that begins with the state at a point; nobody uses its data yet.

        Its history goes back to the point; with `past`, as far as that timeline's.
        """
        folder = self._computes.folder(timeline)
        server = self._computes.spare(folder)
        await server.adopt()
        await server.stop(immediate=True)
        self._account.make_folder(folder)
        state = await self.materialise(project, point, folder / "making")
        with self._account.acting():
            shutil.rmtree(folder / "data", ignore_errors=True)
            state.data.rename(folder / "data")
            shutil.rmtree(folder / "making")
        now = datetime.now(UTC).timestamp()
        floor, floor_time = (point.position, now) if past is None else (past.floor, past.floor_time)
        project.timelines[timeline] = Timeline(
            id=timeline,
            postgres=state.postgres,
            begin=state.begin,
            begun=now,
            cut=state.position,
            floor=floor if state.exact else state.position,
            floor_time=floor_time,
            ancestor=point.timeline,
        )
        return state

    def segments(self, timeline: str) -> list[Segment]:
        """The files of a timeline's log, oldest first."""
        return self._reader.segments(self.log_folder(timeline))

    def log_folder(self, timeline: str) -> Path:
        """Where the log of a timeline is."""
        return self._computes.folder(timeline) / "data" / "pg_wal"
