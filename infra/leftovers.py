"""Looks before the provider makes something: hooks that run when, and only when, a resource is about to be created.

The provider forgets what it made when the answer is lost or a later step fails, and then meets it as a 409, or makes a
second one. Hooks see what is really there, so the next run of a failed one converges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi

from infra import neon
from pipeline.errors import NeonFailed, Refused
from pipeline.neon import OperationFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulumi import ResourceHookArgs

    from pipeline.neon import Branch, NeonClient

# The operations that make a branch, by Neon's names.
_MAKING = frozenset({"create_branch", "create_timeline"})


def before_project(args: ResourceHookArgs) -> None:
    """Refuse to make a second project of the same name.

    Answers the traps "a failed creation is repeated whole and its project forgotten" and "a project whose owner's
    password cannot be read falls out of the state": the existing one is taken over instead, on purpose.
    """
    inputs = _inputs(args)
    name = inputs["name"]
    with neon() as client:
        found = [p for p in client.projects(search=name, org_id=inputs.get("orgId")) if p.name == name]
    if found:
        ids = ", ".join(f"{p.id} (made {p.created_at:%Y-%m-%d %H:%M})" for p in found)
        raise Refused(
            f"Neon already has a project {name}: {ids}",
            remedy=f"Take it over: pulumi config set --stack {pulumi.get_stack()} projectId {found[0].id}  (then pulumi up "
            "once more), or delete it in Neon's console if it is a leftover, or choose another projectName.",
        )


def before_branch(args: ResourceHookArgs, not_ours: str, stack: str) -> None:
    """Clear away a branch that an earlier run made without hearing of it; refuse any other of that name.

    A leftover came after this stack first looked (`not_ours` is the id of the branch that was there then, or ""), and
    nobody can have written to it: it never had a compute. Neon keeps it for recovery for seven days.
    """
    inputs = _inputs(args)
    project, name = inputs["projectId"], inputs["name"]
    with neon() as client:
        found = client.find_branch(project, name)
        if found is None:
            return
        reason = "which this stack did not make" if found.id == not_ours else _worth_keeping(client, found)
        if reason:
            raise Refused(
                f"the project {project} already has a branch {name} ({found.id}), {reason}; nothing was changed",
                remedy=f"Take it in, with its rows: pulumi config set --stack {stack} branchId {found.id}, then pulumi up "
                f"--stack {stack}. Or delete it, with its rows: neonctl branches delete {found.id} "
                f"--project-id {project}. Or choose another branchName.",
            )
        client.delete_branch(project, found.id)
    pulumi.log.warn(
        f"deleted {found.id}, a branch {name} that never had a compute, which an earlier run had left behind"
    )


def _worth_keeping(client: NeonClient, branch: Branch) -> str:
    """Say why a branch may not be cleared away, or "".

    Neon's operations tell whether it ever had a compute. They have to reach back to its making: what is older than them
    may have been written to.
    """
    if branch.default:
        return "which is the project's default branch"
    if branch.protected:
        return "which is protected"
    children = [other.name for other in client.branches(branch.project_id) if other.parent_id == branch.id]
    if children:
        return f"which has children ({', '.join(children)})"
    operations = [item for item in client.operations(branch.project_id) if item.branch_id == branch.id]
    ran = any(item.endpoint_id or item.action.endswith("_compute") for item in operations)
    if ran or client.endpoints(branch.project_id, branch.id) or not {item.action for item in operations} & _MAKING:
        return "which may have been written to"
    return ""


def before_endpoint(args: ResourceHookArgs) -> None:
    """Clear away a compute that an earlier run made without hearing of it: a branch takes one read-write compute only.

    A compute holds no data. One that this stack knows would not be created again. The branch has to be ready first, and
    the provider does not look: it takes a failed operation for a finished one.
    """
    inputs = _inputs(args)
    project, branch = inputs["projectId"], inputs["branchId"]
    with neon() as client:
        try:
            client.settle(project, branch)
        except OperationFailed as failure:
            raise NeonFailed(
                f"the branch {branch} was not made well: {failure.message}",
                remedy="It cannot be mended. Remove it and make it again: "
                f"pulumi destroy --stack {pulumi.get_stack()}, then pulumi up --stack {pulumi.get_stack()}.",
            ) from failure
        for found in client.endpoints(project, branch):
            if found.type == "read_write":
                client.delete_endpoint(project, found.id)
                pulumi.log.warn(f"deleted {found.id}, a compute of {branch} that an earlier run had left behind")


def _inputs(args: ResourceHookArgs) -> Mapping[str, Any]:
    if args.new_inputs is None:
        raise NeonFailed(f"the engine gave no inputs for {args.name}")
    return args.new_inputs
