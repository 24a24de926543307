"""What a route is given: the parts of the control plane, and one request to them."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from emulator.errors import ApiError, busy, not_found, unprocessable
from emulator.fields import Fields
from emulator.json_body import check_text, read_json
from emulator.shapes import Json, operation_shape

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from emulator.clock import Clock
    from emulator.computes import Computes
    from emulator.doors import Doors
    from emulator.faults import Switchboard
    from emulator.history import History
    from emulator.keeping import Keeping
    from emulator.mirror import Mirror
    from emulator.operations import Queue
    from emulator.settings import Settings
    from emulator.state import Branch, Database, Endpoint, Operation, Project, Role, Store

    Route = Callable[["Call"], Awaitable[Json]]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Control:
    """The parts of the control plane."""

    settings: Settings
    clock: Clock
    store: Store
    computes: Computes
    history: History
    keeping: Keeping
    doors: Doors
    mirror: Mirror
    queue: Queue
    faults: Switchboard
    # By project: a request that changes something is checked and carried out before the next one is looked at.
    changing: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))


@dataclass(frozen=True)
class Call:
    """One request: look-ups answer 404 on their own."""

    control: Control
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Fields

    @property
    def parameters(self) -> Fields:
        """The query's parameters, with the limits of a body's fields."""
        return Fields(dict(self.query), "query")

    def project(self, *, exclusive: bool = False) -> Project:
        """The project of the path; with `exclusive`, 423 while it runs operations."""
        project = self.control.store.projects.get(self.path["project"])
        if project is None:
            raise not_found("project", self.path["project"])
        if exclusive and project.busy:
            raise busy()
        return project

    def branch(self, project: Project, branch_id: str | None = None, *, ready: bool = False) -> Branch:
        """The living branch of the path (or of that id); with `ready`, 422 while it has no data yet."""
        wanted = branch_id if branch_id is not None else self.path["branch"]
        branch = project.branches.get(wanted)
        if branch is None or branch.deleted_at is not None:
            raise not_found("branch", wanted)
        if ready and branch.current_state != "ready":
            raise unprocessable("branch not ready yet")
        return branch

    def endpoint(self, project: Project) -> Endpoint:
        """The endpoint of the path, unless its branch is deleted."""
        endpoint = project.endpoints.get(self.path["endpoint"])
        if endpoint is None or project.branches[endpoint.branch_id].deleted_at is not None:
            raise not_found("endpoint", self.path["endpoint"])
        return endpoint

    async def role(self, project: Project, branch: Branch, name: str | None = None) -> Role:
        """The role of the path (or of that name), as the server has it."""
        wanted = name if name is not None else self.path["role"]
        await self.control.mirror.refresh(project, branch)
        for role in branch.roles:
            if role.name == wanted:
                return role
        raise ApiError(404, f'role not found for branch; role_name:"{wanted}", branch_id:"{branch.id}"')

    async def database(self, project: Project, branch: Branch, name: str | None = None) -> Database:
        """The database of the path (or of that name), as the server has it."""
        wanted = name if name is not None else self.path["database"]
        await self.control.mirror.refresh(project, branch)
        for database in branch.databases:
            if database.name == wanted:
                return database
        raise ApiError(404, f'database not found for branch; database_name:"{wanted}", branch_id:"{branch.id}"')

    def submit(self, project: Project, *operations: Operation) -> list[Json]:
        """Queue operations; returns them as the answer carries them."""
        return [operation_shape(project, operation) for operation in self.control.queue.submit(project, *operations)]

    def refused(self, message: str) -> ApiError:
        """The answer to a delete that the rules forbid."""
        return ApiError(self.control.settings.refusal_status, message)


def serve(control: Control, route: Route, status: int) -> Callable[[Request], Awaitable[Response]]:
    """A route as the web framework wants it. What a request changed is saved before it is answered."""

    async def answer(request: Request) -> Response:
        body = Fields(await read_json(request))
        for name, value in (*request.query_params.multi_items(), *request.path_params.items()):
            check_text(value, name)
        call = Call(control, request.path_params, request.query_params, body)
        reads = request.method == "GET"
        project = request.path_params.get("project", "")
        turn = control.changing[project if project in control.store.projects else ""]
        async with nullcontext() if reads else turn:
            try:
                shape = await route(call)
            except ApiError:
                raise
            except Exception:
                # Answered here, not by the framework: that would end the connection, and the call that comes next on it.
                log.exception("%s %s", request.method, request.url.path)
                raise ApiError(500, "internal server error") from None
            if not reads:
                control.store.save()
        return JSONResponse(shape, status)

    return answer
