"""The switchboard: what goes wrong next, by request and by operation."""

from __future__ import annotations

import asyncio
import fnmatch
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

Kind = Literal["answer", "hang", "lost"]
_KINDS: tuple[str, ...] = get_args(Kind)
MOMENTS = ("not-yet",)
# What a fault's values may be: types, the least, the most.
_VALUES: dict[str, tuple[tuple[type, ...], Any, Any]] = {
    "route": ((str,), None, None),
    "operation": ((str,), None, None),
    "code": ((str,), None, None),
    "message": ((str,), None, None),
    "after_effect": ((bool,), None, None),
    "times": ((int,), 1, 1_000_000),
    "status": ((int,), 400, 599),
    "retry_after": ((int,), 0, 86_400),
    "seconds": ((int, float), 0, 86_400),
}


class WrongFault(Exception):
    """A fault that makes no sense; the message says why."""


@dataclass(frozen=True)
class CallFault:
    """The next `times` calls of a route go wrong.

    `route` is METHOD /path below /api/v2; a segment that is * or {anything} matches any one, METHOD may be *.
    kind answer: `status` with Neon's error body (524: an HTML page); hang: no answer until the client goes away;
    lost: the connection is closed. With `after_effect` the call is carried out first (lost always does that).
    """

    route: str
    kind: Kind = "answer"
    times: int = 1
    status: int = 503
    code: str = ""
    message: str = ""
    retry_after: int | None = None
    after_effect: bool = False

    def matches(self, method: str, path: str) -> bool:
        """Whether a call is one of this route."""
        wanted_method, _, wanted_path = self.route.partition(" ")
        wanted, given = wanted_path.strip("/").split("/"), path.strip("/").split("/")
        if wanted_method not in {"*", method}:
            return False
        if wanted == ["*"]:
            return True
        return len(wanted) == len(given) and all(map(_segment_matches, wanted, given))


@dataclass(frozen=True)
class OperationFault:
    """The next `times` operations of an action (* for any) take `seconds` longer, and fail if there is a `message`.

    With `halfway` (create_branch only) half of the work is done then: a copy is there that never gets ready; the old state of
    a restored branch is put away, and the branch stays `resetting`. With `forever` they run until faults are cleared.
    """

    action: str
    times: int = 1
    seconds: float = 0.0
    message: str = ""
    halfway: bool = False
    forever: bool = False


@dataclass(frozen=True)
class MomentFault:
    """The next `times` positions or times that are asked for: `not-yet` has not reached the storage, as seen from there."""

    moment: str
    times: int = 1


class Switchboard:
    """The faults that are switched on; each is used up by what it hits."""

    def __init__(self) -> None:
        self.calls: list[CallFault] = []
        self.operations: list[OperationFault] = []
        self.moments: list[MomentFault] = []
        self._cleared = asyncio.Event()

    def clear(self) -> None:
        """Switch everything off."""
        self.calls.clear()
        self.operations.clear()
        self.moments.clear()
        self._cleared.set()
        self._cleared = asyncio.Event()

    async def until_cleared(self) -> None:
        """Wait until everything is switched off."""
        await self._cleared.wait()

    def add(self, item: object) -> CallFault | OperationFault | MomentFault:
        """Switch on a fault given as JSON: with `route` it is for calls, with `operation` for operations."""
        if not isinstance(item, dict):
            raise WrongFault("a fault is an object")
        fields = dict(item)
        _require_values(fields)
        try:
            if "operation" in fields:
                operation = OperationFault(fields.pop("operation"), **fields)
                if operation.halfway and operation.action != "create_branch":
                    raise WrongFault("only create_branch stops half-way")
                self.operations.append(operation)
                return operation
            if "moment" in fields:
                moment = MomentFault(**fields)
                if moment.moment not in MOMENTS:
                    raise WrongFault(f"a moment is one of {', '.join(MOMENTS)}, not {moment.moment!r}")
                self.moments.append(moment)
                return moment
            call = CallFault(**fields)
        except TypeError as fault:
            raise WrongFault(str(fault)) from None
        if call.kind not in _KINDS:
            raise WrongFault(f"kind is one of {', '.join(_KINDS)}, not {call.kind!r}")
        if " " not in call.route:
            raise WrongFault("a route is METHOD /path, such as 'DELETE /projects/*/branches/*'")
        self.calls.append(call)
        return call

    def for_call(self, method: str, path: str) -> CallFault | None:
        """The fault that this call hits, used up once."""
        for index, fault in enumerate(self.calls):
            if fault.matches(method, path):
                self.calls[index : index + 1] = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                return fault
        return None

    def for_moment(self) -> MomentFault | None:
        """The fault that a moment hits, used up once."""
        for index, fault in enumerate(self.moments):
            self.moments[index : index + 1] = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
            return fault
        return None

    def for_operation(self, action: str) -> OperationFault | None:
        """The fault that this operation hits, used up once."""
        for index, fault in enumerate(self.operations):
            if fault.action in {"*", action}:
                self.operations[index : index + 1] = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                return fault
        return None


def _require_values(fields: dict[str, Any]) -> None:
    for name, (kinds, low, high) in _VALUES.items():
        value = fields.get(name)
        if value is not None and (type(value) not in kinds or (low is not None and not low <= value <= high)):
            span = "" if low is None else f" between {low} and {high}"
            raise WrongFault(f"{name} must be of type {kinds[-1].__name__}{span}")


def _segment_matches(wanted: str, given: str) -> bool:
    return (wanted.startswith("{") and wanted.endswith("}")) or fnmatch.fnmatchcase(given, wanted)
