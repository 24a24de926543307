"""How timelines hang together: whose log holds a position, what a replay needs, and what nobody needs any more.

A branch shares its history with its parent: up to the cut, its state is its parent's. So a branch costs no base copy of
its own; a replay may begin at an ancestor's, and go on with the log of each timeline down to the one that is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emulator.servers.log_position import Segment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulator.state import Base, Timeline

    Timelines = Mapping[str, Timeline]

_ENDLESS = 1 << 62


@dataclass(frozen=True)
class Stretch:
    """Segments of a timeline's own log, by number, both ends included."""

    timeline: str
    first: int
    last: int


@dataclass(frozen=True)
class Replay:
    """A base copy, and the stretches of log from it to a position."""

    base: Base
    stretches: tuple[Stretch, ...]


@dataclass
class Needed:
    """What of a timeline somebody may still want."""

    bases: set[str] = field(default_factory=set)
    stretches: list[Stretch] = field(default_factory=list)

    def holds(self, number: int) -> bool:
        """Whether a segment is wanted."""
        return any(stretch.first <= number <= stretch.last for stretch in self.stretches)


def owner_of(timelines: Timelines, timeline: Timeline, position: int) -> Timeline:
    """The timeline, or the ancestor of it, whose log holds a position."""
    while (ancestor := ancestor_of(timelines, timeline)) is not None and position <= timeline.cut:
        timeline = ancestor
    return timeline


def owner_at(timelines: Timelines, timeline: Timeline, time: float) -> tuple[Timeline, int]:
    """The timeline, or the ancestor of it, that was written to at a time; and where the next one leaves it."""
    end = _ENDLESS
    while (ancestor := ancestor_of(timelines, timeline)) is not None and time < timeline.begun:
        end, timeline = timeline.cut, ancestor
    return timeline, end


def plan_replay(timelines: Timelines, timeline: Timeline, position: int) -> Replay | None:
    """The shortest way to a position of a timeline; None when no base copy is left before it."""
    stretches: list[Stretch] = []
    limit, last = position, Segment.at(position, 0).number + 1  # a record at the position may begin in the next segment
    while True:
        base = newest_base(timeline, limit)
        first = timeline.begin if base is None else base.first
        stretches.append(Stretch(timeline.id, first, last))
        if base is not None:
            return Replay(base, tuple(reversed(stretches)))
        ancestor = ancestor_of(timelines, timeline)
        if ancestor is None:
            return None
        limit, last = timeline.cut, _shared_through(timeline, ancestor)
        timeline = ancestor


def ancestor_of(timelines: Timelines, timeline: Timeline) -> Timeline | None:
    """The timeline that it was cut from."""
    return None if timeline.ancestor is None else timelines.get(timeline.ancestor)


def _shared_through(timeline: Timeline, ancestor: Timeline) -> int:
    """The last segment that a timeline has from its ancestor.

    A copied server goes on in the next segment; a promoted one begins with its own copy of the segment it was cut in.
    """
    return timeline.begin - 1 if timeline.postgres == ancestor.postgres else timeline.begin


def newest_base(timeline: Timeline, position: int) -> Base | None:
    """The newest base copy that is not past a position."""
    found = [base for base in timeline.bases if base.position <= position]
    return max(found, key=lambda base: base.position, default=None)


def needed(timelines: Timelines, horizon: float) -> dict[str, Needed]:
    """What of each timeline is wanted, so that each living one can be brought to any state since the horizon."""
    found = {identity: Needed() for identity in timelines}
    for timeline in timelines.values():
        if timeline.dropped:
            continue
        old = [base for base in timeline.bases if base.taken <= horizon]
        oldest = max(old, key=lambda base: base.taken, default=None)
        for base in timeline.bases:
            if oldest is None or base.taken >= oldest.taken:
                found[timeline.id].bases.add(base.path)
        first = timeline.begin if oldest is None else oldest.first
        found[timeline.id].stretches.append(Stretch(timeline.id, first, _ENDLESS))
        if oldest is None:
            _need_ancestors(timelines, timeline, horizon, found)
    return found


def _need_ancestors(timelines: Timelines, timeline: Timeline, horizon: float, found: dict[str, Needed]) -> None:
    """The way from an ancestor's base copy to the cut; back to the horizon where what came before is this one's too."""
    while (ancestor := ancestor_of(timelines, timeline)) is not None:
        last = _shared_through(timeline, ancestor)
        before = [base for base in ancestor.bases if base.position <= timeline.cut]
        old = [base for base in before if base.taken <= horizon]
        candidates = old or before[:1] if timeline.floor < timeline.cut else before
        base = max(candidates, key=lambda base: base.position, default=None)
        first = ancestor.begin if base is None else base.first
        found[ancestor.id].stretches.append(Stretch(ancestor.id, first, last))
        found[ancestor.id].bases.update(
            other.path for other in before if base is not None and other.position >= base.position
        )
        if base is not None and (old or timeline.floor >= timeline.cut):
            return
        timeline = ancestor
