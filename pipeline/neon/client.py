"""Typed calls to Neon's API, each of which returns when Neon has really done it.

A call that makes something is never repeated blindly: when its answer is lost, the client looks whether the thing is
there, and only then asks again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from dbclient.url import DatabaseURL
from pipeline.errors import ConfigurationError
from pipeline.neon.calls import read, read_list, read_operations, read_value
from pipeline.neon.failures import ApiError
from pipeline.neon.moments import NOW, Moment, with_zone
from pipeline.neon.shapes import Branch, Compute, Database, Endpoint, NewBranch, Project, Role
from pipeline.neon.states import StateCalls
from pipeline.neon.transport import API, Clock, RetryPolicy, Transport

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from types import TracebackType


class NeonClient(StateCalls):
    """One account's (or one project's) view of Neon, by its API key. Close it, or use it in a `with`."""

    def __init__(
        self, api_key: str, *, base_url: str = API, policy: RetryPolicy | None = None, clock: Clock | None = None
    ) -> None:
        super().__init__(Transport(api_key, base_url=base_url, policy=policy or RetryPolicy(), clock=clock or Clock()))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], *, policy: RetryPolicy | None = None) -> Self:
        """Make a client with the key in NEON_API_KEY; ConfigurationError without one.

        NEON_API_URL, when set, is another address than Neon's: the emulator's.
        """
        key = environ.get("NEON_API_KEY", "").strip()
        if not key:
            raise ConfigurationError(
                "NEON_API_KEY is not set",
                remedy="Make a key in Neon's console (Account settings, API keys), then: export NEON_API_KEY=...",
            )
        return cls(key, base_url=environ.get("NEON_API_URL") or API, policy=policy)

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
        return read(Project.from_json, self._transport.get(f"/projects/{project_id}"), "project")

    def projects(self, *, search: str | None = None, org_id: str | None = None) -> list[Project]:
        """Return every project that the key sees, or those whose name or id contains `search`."""
        pages = self._pages("/projects", "projects", "cursor", search=search, org_id=org_id)
        return [read_value(Project.from_json, item) for item in pages]

    # Branches

    def branches(self, project_id: str) -> list[Branch]:
        """Return every branch of a project (not those that were deleted), page by page."""
        pages = self._pages(f"/projects/{project_id}/branches", "branches", "next")
        return [read_value(Branch.from_json, item) for item in pages]

    def create_branch(
        self,
        project_id: str,
        name: str,
        *,
        parent_id: str | None = None,
        moment: Moment = NOW,
        schema_only: bool = False,
        expires_at: datetime | None = None,
        compute: Compute | None = None,
    ) -> NewBranch:
        """Cut a branch from its parent (None: the default branch) at a moment, and wait until it is ready.

        `schema_only` leaves the rows behind. With `compute` it gets a read-write endpoint. `expires_at` is when Neon deletes
        it: with a time zone, at most 30 days ahead. Refuses a name that is taken.
        """
        self._require_free_name(project_id, name)
        branch: dict[str, Any] = {"name": name, **moment.fields("parent_")}
        if parent_id is not None:
            branch["parent_id"] = parent_id
        if schema_only:
            branch["init_source"] = "schema-only"
        if expires_at is not None:
            branch["expires_at"] = with_zone(expires_at)
        body: dict[str, Any] = {"branch": branch}
        if compute is not None:
            body["endpoints"] = [{"type": "read_write", **compute.to_json()}]
        path = f"/projects/{project_id}/branches"

        def send() -> NewBranch:
            answer = self._transport.call("POST", path, json=body, repeatable=False)
            self.wait(read_operations(answer))
            return self._new_branch(project_id, read(Branch.from_json, answer, "branch").id)

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
        return self._delete(project_id, f"/projects/{project_id}/branches/{branch_id}", params=params)

    def expire_branch(self, project_id: str, branch_id: str, expires_at: datetime | None) -> Branch:
        """Say when Neon deletes a branch by itself (None: never), and return the branch.

        The moment has a time zone and is at most 30 days ahead.
        """
        moment = None if expires_at is None else with_zone(expires_at)
        path = f"/projects/{project_id}/branches/{branch_id}"
        answer = self._transport.call("PATCH", path, json={"branch": {"expires_at": moment}})
        self.wait(read_operations(answer))
        return read(Branch.from_json, answer, "branch")

    # Endpoints

    def endpoint(self, project_id: str, endpoint_id: str) -> Endpoint:
        """Return one endpoint; NotFound without it."""
        answer = self._transport.get(f"/projects/{project_id}/endpoints/{endpoint_id}")
        return read(Endpoint.from_json, answer, "endpoint")

    def resize_endpoint(self, project_id: str, endpoint_id: str, compute: Compute) -> Endpoint:
        """Give an endpoint other limits, wait until they hold, and return it."""
        path = f"/projects/{project_id}/endpoints/{endpoint_id}"
        answer = self._transport.call("PATCH", path, json={"endpoint": compute.to_json()})
        self.wait(read_operations(answer))
        return self.endpoint(project_id, endpoint_id)

    def delete_endpoint(self, project_id: str, endpoint_id: str) -> bool:
        """Delete an endpoint and wait for it; the branch and its data stay. False when it was not there any more."""
        return self._delete(project_id, f"/projects/{project_id}/endpoints/{endpoint_id}")

    def start_endpoint(self, project_id: str, endpoint_id: str) -> None:
        """Wake a compute and wait until it runs."""
        self.wait(
            read_operations(self._transport.call("POST", f"/projects/{project_id}/endpoints/{endpoint_id}/start"))
        )

    def suspend_endpoint(self, project_id: str, endpoint_id: str) -> None:
        """Stop a compute and wait until it has stopped."""
        self.wait(
            read_operations(self._transport.call("POST", f"/projects/{project_id}/endpoints/{endpoint_id}/suspend"))
        )

    # Roles and databases

    def roles(self, project_id: str, branch_id: str) -> list[Role]:
        """Return the roles of a branch that Neon knows, without their passwords."""
        return read_list(
            Role.from_json, self._transport.get(f"/projects/{project_id}/branches/{branch_id}/roles"), "roles"
        )

    def databases(self, project_id: str, branch_id: str) -> list[Database]:
        """Return the databases of a branch."""
        answer = self._transport.get(f"/projects/{project_id}/branches/{branch_id}/databases")
        return read_list(Database.from_json, answer, "databases")

    def reveal_password(self, project_id: str, branch_id: str, role: str) -> str:
        """Return a role's present password as Neon stores it; never an empty one."""
        path = f"/projects/{project_id}/branches/{branch_id}/roles/{quote(role, safe='')}"
        password = self._transport.get(f"{path}/reveal_password").get("password")
        if not password or not isinstance(password, str):
            raise ApiError(f"Neon has no password for role {role} of branch {branch_id}")
        return password

    def reset_password(self, project_id: str, branch_id: str, role: str) -> str:
        """Give a role a new password that Neon makes up, wait until the server takes it, and return it.

        Safe to repeat: when an answer is lost nobody knows the password that it carried, so making another one takes
        nothing from anyone.
        """
        path = f"/projects/{project_id}/branches/{branch_id}/roles/{quote(role, safe='')}"
        answer = self._transport.call("POST", f"{path}/reset_password")
        self.wait(read_operations(answer))
        made = read(Role.from_json, answer, "role").password
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
        return read_value(lambda data: DatabaseURL.parse(data["uri"]), answer)
