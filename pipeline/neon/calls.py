"""What every typed call is made of: reading answers, waiting for operations, and looking before anything is repeated."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, TypeVar

from pipeline.errors import TimedOut
from pipeline.neon.failures import ApiError, NotFound, OperationFailed, OutcomeUnknown
from pipeline.neon.shapes import Branch, Endpoint, Json, NewBranch, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pipeline.neon.transport import Transport

T = TypeVar("T")

PAGE = 100  # elements asked for in one page
REFUSED_AS_DONE = frozenset({409, 422})  # how a request is refused that came twice


class Calls:
    """Calls to Neon over one transport, for the classes that have them by what they are about."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def branch(self, project_id: str, branch_id: str) -> Branch:
        """Return one branch; NotFound without it."""
        return read(Branch.from_json, self._transport.get(f"/projects/{project_id}/branches/{branch_id}"), "branch")

    def find_branch(self, project_id: str, name: str) -> Branch | None:
        """Return the branch of exactly that name, or None. Names are unique in a project."""
        pages = self._pages(f"/projects/{project_id}/branches", "branches", "next", search=name)
        found = (read_value(Branch.from_json, item) for item in pages)
        return next((branch for branch in found if branch.name == name), None)

    def _require_free_name(self, project_id: str, name: str) -> None:
        """Raise ApiError (409) where a branch has the name: after a lost answer, one that has it is the one we asked for."""
        if (taken := self.find_branch(project_id, name)) is not None:
            raise ApiError(
                f"the project {project_id} already has a branch {name} ({taken.id})",
                status=409,
                remedy="Nothing was changed. Rename that branch, or delete it in Neon's console, and run it again.",
            )

    def endpoints(self, project_id: str, branch_id: str) -> list[Endpoint]:
        """Return the endpoints of a branch."""
        answer = self._transport.get(f"/projects/{project_id}/branches/{branch_id}/endpoints")
        return read_list(Endpoint.from_json, answer, "endpoints")

    def operations(self, project_id: str) -> Iterator[Operation]:
        """Yield the operations of a project, newest first, page by page."""
        for item in self._pages(f"/projects/{project_id}/operations", "operations", "cursor"):
            yield read_value(Operation.from_json, item)

    def operation(self, project_id: str, operation_id: str) -> Operation:
        """Return one operation as it is now."""
        answer = self._transport.get(f"/projects/{project_id}/operations/{operation_id}")
        return read(Operation.from_json, answer, "operation")

    def wait(self, operations: Iterable[Operation]) -> None:
        """Return when all of them have finished well.

        Raises OperationFailed for one that failed, and TimedOut after the policy's `operation_timeout`.
        """
        policy, clock = self._transport.policy, self._transport.clock
        deadline = clock.now() + policy.operation_timeout
        for started in operations:
            operation, pause = started, policy.operation_poll
            while not operation.is_finished:
                if clock.now() > deadline:
                    raise TimedOut(
                        f"Neon has not finished {operation} after {policy.operation_timeout:.0f} s",
                        remedy="It may still finish. See the project's Operations page, then run the command again.",
                    )
                clock.sleep(pause)
                pause = min(pause * 1.5, 2.0)
                operation = self.operation(operation.project_id, operation.id)
            if operation.has_failed:
                raise OperationFailed(operation)

    def settle(self, project_id: str, branch_id: str) -> None:
        """Return when nothing runs on a branch any more and the newest operation of each kind went well.

        For what somebody else started without looking at its end (the Terraform provider takes a failed operation for
        a finished one). Raises OperationFailed and TimedOut as `wait` does.
        """
        newest: dict[tuple[str, str | None], Operation] = {}
        for operation in self.operations(project_id):
            if operation.branch_id == branch_id:
                newest.setdefault((operation.action, operation.endpoint_id), operation)
        self.wait(reversed(newest.values()))  # the first that failed is why others did

    def _new_branch(self, project_id: str, branch_id: str) -> NewBranch:
        """Read a branch as it is now that its operations have ended."""
        endpoints = self.endpoints(project_id, branch_id)
        return NewBranch(self.branch(project_id, branch_id), endpoints[0] if endpoints else None)

    def _pages(self, path: str, key: str, cursor_key: str, **params: str | None) -> Iterator[Json]:
        """Yield the elements of a list that Neon gives in pages; a page without a new cursor is the last."""
        cursor: str | None = None
        seen: set[str] = set()
        while True:
            answer = self._transport.get(path, limit=PAGE, cursor=cursor, **params)
            items = answer.get(key)
            if not isinstance(items, list):
                raise ApiError(f"Neon's answer to GET {path} has no list of {key}")
            yield from items
            pagination = answer.get("pagination")
            cursor = pagination.get(cursor_key) if isinstance(pagination, dict) else None
            if not items or not cursor or cursor in seen:
                return
            seen.add(cursor)

    def _look_before_repeating(self, send: Callable[[], T], look: Callable[[], T | None]) -> T:
        """Send a request that makes something; when its answer is lost, send it again only if `look` finds nothing.

        The lost request may also arrive after the look, so a refusal of a later one is looked at in the same way.
        """
        pauses, lost = list(self._transport.policy.ceilings()), False
        while True:
            try:
                return send()
            except OutcomeUnknown:
                if pauses:
                    self._transport.pause(pauses[0])
                lost, found = True, look()
                if found is not None:
                    return found
                if not pauses:
                    raise
                del pauses[0]
            except ApiError as refusal:
                found = look() if lost and refusal.status in REFUSED_AS_DONE else None
                if found is None:
                    raise
                return found

    def _newest_operation(self, project_id: str) -> str | None:
        """The id of the operation that began last, so that `_begun_since` knows which came later."""
        return next((operation.id for operation in self.operations(project_id)), None)

    def _begun_since(self, project_id: str, newest: str | None, *branch_ids: str) -> list[Operation]:
        """What began on these branches after the operation `newest`, oldest first."""
        later = takewhile(lambda operation: operation.id != newest, self.operations(project_id))
        return [operation for operation in later if operation.branch_id in branch_ids][::-1]

    def _delete(self, project_id: str, path: str, *, params: Mapping[str, str] | None = None) -> bool:
        """Delete a part of a project, and wait for it. False when it was not there any more.

        It may be gone because an earlier attempt, whose answer was lost, deleted it: that is waited for, too.
        """
        try:
            answer = self._transport.call("DELETE", path, params=params)
        except NotFound:
            self.wait(operation for operation in self.operations(project_id) if operation.is_deletion_under_way)
            return False
        self.wait(read_operations(answer))
        return bool(answer)  # 204, an empty answer, is Neon's other way to say that it was gone


def read(make: Callable[[Json], T], answer: Json, key: str) -> T:
    """Make a value of the object of that name in an answer. Raises ApiError where it does not have the documented shape."""
    return read_value(lambda data: make(data[key]), answer)


def read_list(make: Callable[[Json], T], answer: Json, key: str) -> list[T]:
    """Make a value of each element of a list in an answer; none where the list is absent. Raises ApiError as `read` does."""
    items = answer.get(key) or []
    if not isinstance(items, list):
        raise ApiError(f"Neon's answer has no list of {key}")
    return [read_value(make, item) for item in items]


def read_operations(answer: Json) -> list[Operation]:
    """The operations that an answer says were begun."""
    return read_list(Operation.from_json, answer, "operations")


def read_value(make: Callable[[Json], T], data: Json) -> T:
    """Make a value of an answer. Raises ApiError where it does not have the documented shape, which repeats none of it."""
    try:
        return make(data)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as fault:
        # The kind of fault and the missing name only: the data may hold a password.
        missing = f" (no field {fault})" if isinstance(fault, KeyError) else ""
        raise ApiError(f"Neon's answer does not have the shape that its API documents{missing}") from None
