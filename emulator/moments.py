"""A moment as requests name it: a log position, or a time, or neither for now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator import clock
from emulator.errors import bad_request, unprocessable
from emulator.history import Moment, Refused
from emulator.servers import log_position

if TYPE_CHECKING:
    from emulator.control import Call
    from emulator.history import Point
    from emulator.state import Branch, Project


def read_moment(lsn: str, timestamp: str, *, names: tuple[str, str]) -> Moment:
    """The moment that a pair of fields (of these names) says; 400 for both at once, and for what is no moment."""
    if lsn and timestamp:
        raise bad_request(f"{names[0]} and {names[1]} exclude one another")
    if lsn:
        try:
            return Moment(position=log_position.parse(lsn))
        except ValueError:
            raise bad_request(f"{names[0]} must be a log sequence number such as 0/1E8A9B8") from None
    if timestamp:
        try:
            return Moment(instant=clock.read(timestamp))
        except ValueError:
            raise bad_request(f"{names[1]} must be an RFC 3339 time with a time zone") from None
    return Moment()


async def resolve(call: Call, project: Project, branch: Branch, moment: Moment) -> Point:
    """The point that a moment of a branch is; 422 when it cannot be reached."""
    if (moment.position is not None or moment.instant is not None) and call.control.faults.for_moment() is not None:
        raise unprocessable("the log position of that moment has not reached the storage yet")
    try:
        return await call.control.history.resolve(project, branch, moment)
    except Refused as refused:
        raise unprocessable(str(refused)) from None
