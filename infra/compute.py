"""The compute of a branch as it really is: ready, of the size that was asked for, with both of its addresses.

Trap: the provider takes a failed operation for a finished one, so a branch or a compute that never came up passes for
made; here the operations are asked again, and a failed one fails the run. Trap: a project's `default_endpoint_settings`
only seed the first compute and later edits never reach it; here a change of size is sent to the compute itself. Trap:
the provider composes the pooled host by itself; here Neon says what it is.

The state of every stack names this module and its class: `_Provider` in `infra.compute` has to be found by that name for as
long as a stack that was made with it exists. tests/infra/test_pinned.py holds the names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from infra import neon
from pipeline.errors import NeonFailed
from pipeline.neon import Compute as Size
from pipeline.neon import NotFound, OperationFailed

if TYPE_CHECKING:
    from infra.fixed_names import Names
    from pipeline.neon import NeonClient

_SIZE = ("min_cu", "max_cu", "suspend_timeout_seconds")
_TOLD = ("host", "pooled_host", "region", "pg_version")
_PLACE = ("project_id", "branch_id", "endpoint_id", "database", "role")


class _Provider(ResourceProvider):
    """Stored in the state: it captures nothing."""

    serialize_as_secret_always = False  # there is nothing secret in it, and a readable state is easier to review

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props["branch_id"]), _bring_to(props))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        elsewhere = [name for name in ("project_id", "branch_id") if olds[name] != news[name]]
        changed = _size(olds) != _size(news) or any(olds[name] != news[name] for name in _PLACE)
        # a state from before there were such values has none of them
        changed = changed or olds.get("branch_name", news["branch_name"]) != news["branch_name"]
        changed = changed or any(olds.get(name) is None for name in _TOLD)
        return DiffResult(changes=changed, replaces=elsewhere)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_bring_to(news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        try:
            with neon() as client:
                found = client.endpoint(str(props["project_id"]), str(props["endpoint_id"]))
        except NotFound:
            return ReadResult("", {})
        size = dict(zip(_SIZE, _fields(found.compute), strict=True))
        return ReadResult(id_, {**props, **size})

    # No delete: the compute goes with its endpoint resource, or with the project.


def _bring_to(props: dict[str, Any]) -> dict[str, Any]:
    """Wait for the branch, give its compute the size of `props`, and return them with the addresses."""
    project, branch, endpoint = (str(props[name]) for name in _PLACE[:3])
    with neon() as client:
        try:
            client.settle(project, branch)
        except OperationFailed as failure:
            if failure.operation.endpoint_id != endpoint:
                raise _not_made_well(client, project, branch, str(props.get("stack") or "NAME"), failure) from failure
            client.start_endpoint(project, endpoint)
        found, whole = client.endpoint(project, endpoint), client.project(project)
        if found.compute != _size(props):
            found = client.resize_endpoint(project, endpoint, _size(props))
        pooled = client.connection_uri(
            project,
            branch_id=branch,
            endpoint_id=endpoint,
            database=str(props["database"]),
            role=str(props["role"]),
            pooled=True,
        )
    pooled_host = f"{pooled.host}:{pooled.port}" if pooled.port else pooled.host
    told = (found.host, pooled_host, whole.region_id, whole.pg_version)
    return {**props, **dict(zip(_TOLD, told, strict=True))}


def _not_made_well(client: NeonClient, project: str, branch: str, stack: str, failure: OperationFailed) -> NeonFailed:
    """A branch of which the first operation failed. It cannot be mended, only made anew."""
    what = f"the branch {branch} was not made well: {failure.message}"
    if not client.branch(project, branch).default:
        remedy = f"Remove it and make it again: pulumi destroy --stack {stack}, then pulumi up --stack {stack}."
        return NeonFailed(what, remedy=remedy)
    return NeonFailed(
        what,
        remedy=f"The project cannot be mended. In this order: pulumi state unprotect --stack {stack} --all; pulumi destroy "
        f"--stack {stack} (forgets it); neonctl projects delete {project}; pulumi config rm --stack {stack} projectId; "
        f"pulumi up --stack {stack}. See docs/infrastructure.md, A project that was not made well.",
    )


def _size(props: dict[str, Any]) -> Size:
    # Numbers pass the engine as doubles.
    return Size(float(props["min_cu"]), float(props["max_cu"]), int(props["suspend_timeout_seconds"]))


def _fields(size: Size) -> tuple[float, float, int]:
    return size.min_cu, size.max_cu, size.suspend_timeout_seconds


class Compute(Resource, module="neon", name="Compute"):
    """The read-write compute of a branch, once it is ready and has the size."""

    host: pulumi.Output[str]
    pooled_host: pulumi.Output[str]
    region: pulumi.Output[str]
    pg_version: pulumi.Output[int]

    def __init__(
        self,
        name: str,
        *,
        project_id: pulumi.Input[str],
        branch_id: pulumi.Input[str],
        endpoint_id: pulumi.Input[str],
        names: Names,
        size: Size,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__(
            _Provider(),
            name,
            {
                "project_id": project_id,
                "branch_id": branch_id,
                "endpoint_id": endpoint_id,
                **names._asdict(),
                "stack": pulumi.get_stack(),  # for a remedy
                **dict(zip(_SIZE, _fields(size), strict=True)),
                **dict.fromkeys(_TOLD),
            },
            opts,
        )
