"""The first word on a destroyed branch: whether it may go at all.

Neon refuses to delete a branch that is protected or has children, but is asked last, when the compute and the passwords
are gone. Everything else of the stack is made before this resource, so the engine deletes it first: it asks what stands
in the way, and fails the run while nothing has changed. It deletes nothing itself.

The state of every stack names this module and its class: `_Provider` in `infra.branch_guard` has to be found by that
name for as long as a stack that was made with it exists. tests/infra/test_pinned.py holds the names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from infra import neon
from pipeline.errors import Refused
from pipeline.neon import NotFound

if TYPE_CHECKING:
    import pulumi

    from pipeline.neon import NeonClient


class _Provider(ResourceProvider):
    """Stored in the state: it captures nothing."""

    serialize_as_secret_always = False  # there is nothing secret in it, and a readable state is easier to review

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(str(props["branch_id"]), props)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        # A replaced branch takes its guard along, which is thus asked before the old branch is deleted.
        elsewhere = [name for name in ("project_id", "branch_id") if olds.get(name) != news.get(name)]
        changed = any(olds.get(name) != news.get(name) for name in ("parent_id", "stack"))
        return DiffResult(changes=changed or bool(elsewhere), replaces=elsewhere, delete_before_replace=True)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(news)

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        project, branch, stack = (str(props[name]) for name in ("project_id", "branch_id", "stack"))
        with neon() as client:
            refuse_what_may_not_go(client, project, branch, stack)


def refuse_what_may_not_go(client: NeonClient, project: str, branch: str, stack: str) -> None:
    """Return when nothing stands in the way of deleting a branch (or it is gone); Refused with what does."""
    try:
        found = client.branch(project, branch)
        children = [other for other in client.branches(project) if other.parent_id == branch]
    except NotFound:
        return
    what = f"the branch {found.name} ({branch})"
    if children:
        names = ", ".join(f"{child.name} ({child.id})" for child in children)
        raise Refused(
            f"{what} has children: {names}. Neon does not delete a branch that has some; nothing was changed",
            remedy="Destroy their stacks first (pulumi destroy --stack NAME), or delete them: "
            f"neonctl branches delete {children[0].id} --project-id {project}",
        )
    if found.protected:
        raise Refused(
            f"{what} is protected; nothing was changed",
            remedy=f"Take the protection away first: pulumi config set --stack {stack} protected false, then pulumi up "
            f"--stack {stack}. Or, where it was set in Neon's console, there.",
        )
    if found.default:
        raise Refused(
            f"{what} is the project's default branch; nothing was changed",
            remedy="Make another branch the default one first: neonctl branches set-default",
        )


class BranchGuard(Resource, module="neon", name="BranchGuard"):
    """Refuses the destruction of a branch that is protected or has children, before anything is deleted."""

    def __init__(
        self,
        name: str,
        *,
        project_id: pulumi.Input[str],
        branch_id: pulumi.Input[str],
        parent_id: pulumi.Input[str],
        stack: str,
        opts: pulumi.ResourceOptions,
    ) -> None:
        inputs = {"project_id": project_id, "branch_id": branch_id, "parent_id": parent_id, "stack": stack}
        super().__init__(_Provider(), name, inputs, opts)
