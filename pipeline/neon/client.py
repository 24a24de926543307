"""Typed calls to Neon's API, each of which returns when Neon has really done it.

A call that makes something is never repeated blindly: when its answer is lost, the client looks whether the thing is
there, and only then asks again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from chatdb.url import DatabaseURL
from pipeline.errors import ConfigurationError, TimedOut, UsageError
from pipeline.neon.failures import ApiError, NotFound, OperationFailed, OutcomeUnknown
from pipeline.neon.shapes import Branch, Compute, Database, Endpoint, Json, NewBranch, Operation, Project, Role
from pipeline.neon.transport import API, Clock, Patience, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from types import TracebackType

T = TypeVar("T")

PAGE = 100  # elements asked for in one page


class NeonClient:
    """One account's (or one project's) view of Neon, by its API key. Close it, or use it in a `with`."""

    def __init__(
        self, api_key: str, *, base_url: str = API, patience: Patience | None = None, clock: Clock | None = None
    ) -> None:
        self._transport = Transport(api_key, base_url=base_url, patience=patience or Patience(), clock=clock or Clock())

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], *, patience: Patience | None = None) -> Self:
        """Make a client with the key in NEON_API_KEY; ConfigurationError without one.

        NEON_API_URL, when set, is another address than Neon's: the emulator's.
        """
        key = environ.get("NEON_API_KEY", "").strip()
        if not key:
            raise ConfigurationError(
                "NEON_API_KEY is not set",
                remedy="Make a key in Neon's console (Account settings, API keys), then: export NEON_API_KEY=...",
            )
        return cls(key, base_url=environ.get("NEON_API_URL") or API, patience=patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()

    # Projects

    def project(self, project_id: str) -> Project:
        """Return one project; NotFound without it."""
        return _read(Project.from_json, self._transport.get(f"/projects/{project_id}"), "project")

    def projects(self, *, search: str | None = None, org_id: str | None = None) -> list[Project]:
        """Return every project that the key sees, or those whose name or id contains `search`."""
        pages = self._pages("/projects", "projects", "cursor", search=search, org_id=org_id)
        return [_value(Project.from_json, item) for item in pages]

    # Branches

    def branches(self, project_id: str) -> list[Branch]:
        """Return every branch of a project (not those that were deleted), page by page."""
        pages = self._pages(f"/projects/{project_id}/branches", "branches", "next")
        return [_value(Branch.from_json, item) for item in pages]

    def branch(self, project_id: str, branch_id: str) -> Branch:
        """Return one branch; NotFound without it."""
        return _read(Branch.from_json, self._transport.get(f"/projects/{project_id}/branches/{branch_id}"), "branch")

    def find_branch(self, project_id: str, name: str) -> Branch | None:
        """Return the branch of exactly that name, or None. Names are unique in a project."""
        pages = self._pages(f"/projects/{project_id}/branches", "branches", "next", search=name)
        found = (_value(Branch.from_json, item) for item in pages)
        return next((branch for branch in found if branch.name == name), None)

    def create_branch(
        self,
        project_id: str,
        name: str,
        *,
        parent_id: str | None = None,
        expires_at: datetime | None = None,
        compute: Compute | None = None,
    ) -> NewBranch:
        """Cut a branch from the head of its parent (None: the default branch), and wait until it is ready.

        With `compute` it gets a read-write endpoint. `expires_at` is when Neon deletes it: with a time zone, at most
        30 days ahead. Refuses a name that is taken.
        """
        if expires_at is not None and expires_at.tzinfo is None:
            raise UsageError("the expiry of a branch needs a time zone", remedy="Give it as 2026-12-31T18:00:00+00:00.")
        if (taken := self.find_branch(project_id, name)) is not None:
            raise ApiError(f"the project {project_id} already has a branch {name} ({taken.id})", status=409)
        branch: dict[str, Any] = {"name": name}
        if parent_id is not None:
            branch["parent_id"] = parent_id
        if expires_at is not None:
            branch["expires_at"] = expires_at.isoformat()
        body: dict[str, Any] = {"branch": branch}
        if compute is not None:
            body["endpoints"] = [{"type": "read_write", **compute.to_json()}]
        path = f"/projects/{project_id}/branches"

        def send() -> NewBranch:
            answer = self._transport.call("POST", path, json=body, repeatable=False)
            self.wait(_operations(answer))
            return self._new_branch(project_id, _read(Branch.from_json, answer, "branch").id)

        def look() -> NewBranch | None:
            # The name was free before the first attempt, so a branch that bears it now is the one that we asked for.
            made = self.find_branch(project_id, name)
            if made is None:
                return None
            self.settle(project_id, made.id)
            return self._new_branch(project_id, made.id)

        return self._look_before_repeating(send, look)

    def delete_branch(self, project_id: str, branch_id: str, *, hard: bool = False) -> bool:
        """Delete a branch with its endpoints and wait for it. False when it was not there any more.

        `hard` leaves no way back; else Neon keeps it for recovery for seven days.
        """
        params = {"hard_delete": "true"} if hard else None
        try:
            answer = self._transport.call("DELETE", f"/projects/{project_id}/branches/{branch_id}", params=params)
        except NotFound:
            return False
        self.wait(_operations(answer))
        return bool(answer)  # 204, an empty answer, is Neon's other way to say that it was gone

    # Endpoints

    def endpoints(self, project_id: str, branch_id: str) -> list[Endpoint]:
        """Return the endpoints of a branch."""
        answer = self._transport.get(f"/projects/{project_id}/branches/{branch_id}/endpoints")
        return _list(Endpoint.from_json, answer, "endpoints")

    def endpoint(self, project_id: str, endpoint_id: str) -> Endpoint:
        """Return one endpoint; NotFound without it."""
        answer = self._transport.get(f"/projects/{project_id}/endpoints/{endpoint_id}")
        return _read(Endpoint.from_json, answer, "endpoint")

    def resize_endpoint(self, project_id: str, endpoint_id: str, compute: Compute) -> Endpoint:
        """Give an endpoint other limits, wait until they hold, and return it."""
        path = f"/projects/{project_id}/endpoints/{endpoint_id}"
        answer = self._transport.call("PATCH", path, json={"endpoint": compute.to_json()})
        self.wait(_operations(answer))
        return self.endpoint(project_id, endpoint_id)

    def delete_endpoint(self, project_id: str, endpoint_id: str) -> bool:
        """Delete an endpoint and wait for it; the branch and its data stay. False when it was not there any more."""
        try:
            answer = self._transport.call("DELETE", f"/projects/{project_id}/endpoints/{endpoint_id}")
        except NotFound:
            return False
        self.wait(_operations(answer))
        return bool(answer)

    def start_endpoint(self, project_id: str, endpoint_id: str) -> None:
        """Wake a compute and wait until it runs."""
        self.wait(_operations(self._transport.call("POST", f"/projects/{project_id}/endpoints/{endpoint_id}/start")))

    def suspend_endpoint(self, project_id: str, endpoint_id: str) -> None:
        """Stop a compute and wait until it has stopped."""
        self.wait(_operations(self._transport.call("POST", f"/projects/{project_id}/endpoints/{endpoint_id}/suspend")))

    # Roles and databases

    def roles(self, project_id: str, branch_id: str) -> list[Role]:
        """Return the roles of a branch that Neon knows, without their passwords."""
        return _list(Role.from_json, self._transport.get(f"/projects/{project_id}/branches/{branch_id}/roles"), "roles")

    def databases(self, project_id: str, branch_id: str) -> list[Database]:
        """Return the databases of a branch."""
        answer = self._transport.get(f"/projects/{project_id}/branches/{branch_id}/databases")
        return _list(Database.from_json, answer, "databases")

    def reveal_password(self, project_id: str, branch_id: str, role: str) -> str:
        """Return a role's present password as Neon stores it; never an empty one."""
        path = f"/projects/{project_id}/branches/{branch_id}/roles/{role}"
        password = self._transport.get(f"{path}/reveal_password").get("password")
        if not password or not isinstance(password, str):
            raise ApiError(f"Neon has no password for role {role} of branch {branch_id}")
        return password

    def reset_password(self, project_id: str, branch_id: str, role: str) -> str:
        """Give a role a new password that Neon makes up, wait until the server takes it, and return it.

        Safe to repeat: when an answer is lost nobody knows the password that it carried, so making another one takes
        nothing from anyone.
        """
        path = f"/projects/{project_id}/branches/{branch_id}/roles/{role}"
        answer = self._transport.call("POST", f"{path}/reset_password")
        self.wait(_operations(answer))
        made = _read(Role.from_json, answer, "role").password
        return made or self.reveal_password(project_id, branch_id, role)

    def connection_uri(
        self,
        project_id: str,
        *,
        branch_id: str,
        database: str,
        role: str,
        endpoint_id: str | None = None,
        pooled: bool = False,
    ) -> DatabaseURL:
        """Return the connection string that Neon itself gives for a role, with its password."""
        answer = self._transport.get(
            f"/projects/{project_id}/connection_uri",
            branch_id=branch_id,
            endpoint_id=endpoint_id,
            database_name=database,
            role_name=role,
            pooled=pooled,
        )
        return _value(lambda data: DatabaseURL.parse(data["uri"]), answer)

    # Operations

    def operations(self, project_id: str) -> Iterator[Operation]:
        """Yield the operations of a project, newest first, page by page."""
        for item in self._pages(f"/projects/{project_id}/operations", "operations", "cursor"):
            yield _value(Operation.from_json, item)

    def operation(self, project_id: str, operation_id: str) -> Operation:
        """Return one operation as it is now."""
        answer = self._transport.get(f"/projects/{project_id}/operations/{operation_id}")
        return _read(Operation.from_json, answer, "operation")

    def wait(self, operations: Iterable[Operation]) -> None:
        """Return when all of them have finished well.

        Raises OperationFailed for one that failed, and TimedOut after the patience's `operation_timeout`.
        """
        patience, clock = self._transport.patience, self._transport.clock
        deadline = clock.now() + patience.operation_timeout
        for started in operations:
            operation, pause = started, patience.operation_poll
            while not operation.is_finished:
                if clock.now() > deadline:
                    raise TimedOut(
                        f"Neon has not finished {operation} after {patience.operation_timeout:.0f} s",
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
        self.wait(newest.values())

    def _new_branch(self, project_id: str, branch_id: str) -> NewBranch:
        """Read a branch as it is now that its operations have ended."""
        endpoints = self.endpoints(project_id, branch_id)
        return NewBranch(self.branch(project_id, branch_id), endpoints[0] if endpoints else None)

    def _pages(self, path: str, key: str, cursor_key: str, **params: str | None) -> Iterator[Json]:
        """Yield the elements of a list that Neon gives in pages; a page without a new cursor is the last."""
        cursor: str | None = None
        while True:
            answer = self._transport.get(path, limit=PAGE, cursor=cursor, **params)
            items = answer.get(key)
            if not isinstance(items, list):
                raise ApiError(f"Neon's answer to GET {path} has no list of {key}")
            yield from items
            following = (answer.get("pagination") or {}).get(cursor_key)
            if not items or not following or following == cursor:
                return
            cursor = following

    def _look_before_repeating(self, send: Callable[[], T], look: Callable[[], T | None]) -> T:
        for ceiling in self._transport.patience.ceilings():
            try:
                return send()
            except OutcomeUnknown:
                self._transport.pause(ceiling)
                found = look()
                if found is not None:
                    return found
        return send()


def _read(make: Callable[[Json], T], answer: Json, key: str) -> T:
    return _value(lambda data: make(data[key]), answer)


def _list(make: Callable[[Json], T], answer: Json, key: str) -> list[T]:
    return [_value(make, item) for item in answer.get(key) or []]


def _operations(answer: Json) -> list[Operation]:
    return _list(Operation.from_json, answer, "operations")


def _value(make: Callable[[Json], T], data: Json) -> T:
    try:
        return make(data)
    except (KeyError, TypeError, ValueError) as fault:
        # The kind of fault and the missing name only: the data may hold a password.
        missing = f" (no field {fault})" if isinstance(fault, KeyError) else ""
        raise ApiError(f"Neon's answer does not have the shape that its API documents{missing}") from None
