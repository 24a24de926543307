"""The last word on a destroyed branch.

Trap: the provider takes the answer 422 to a delete for "already deleted", though Neon also says 422 when it refuses
("branch not ready yet"): the branch would live on, unknown and billed. The branch depends on this resource, so this one
is deleted after it, looks whether the branch is really gone, and else deletes it or fails the run. The stack's own branch
has lost its compute by then: one that still has it is another's, or was removed from the state on purpose.

The state of every stack names this module and its class: `_Provider` in `infra.branch_removal` has to be found by that
name for as long as a stack that was made with it exists. tests/infra/test_pinned.py holds the names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from infra import neon
from infra.branch_guard import refuse_what_may_not_go
from pipeline.errors import Refused
from pipeline.neon import NotFound

if TYPE_CHECKING:
    import pulumi


class _Provider(ResourceProvider):
    """Stored in the state: it captures nothing."""

    serialize_as_secret_always = False  # there is nothing secret in it, and a readable state is easier to review

    def create(self, props: dict[str, Any]) -> CreateResult:
        project, name = str(props["project_id"]), str(props["branch_name"])
        with neon() as client:
            there = client.find_branch(project, name)
        # A branch that somebody else made before is not this stack's to delete, unless it is taken in.
        not_ours = there.id if there and there.id != props["taken_in"] else ""
        return CreateResult(f"{project}/{name}", {**props, "not_ours": not_ours})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        elsewhere = [name for name in ("project_id", "branch_name") if olds[name] != news[name]]
        taken_in = bool(news["taken_in"]) and news["taken_in"] == olds["not_ours"]
        # Not deleted before it is replaced: when a branch is renamed, its old name is looked for after the renaming.
        return DiffResult(changes=bool(elsewhere) or taken_in, replaces=elsewhere, delete_before_replace=False)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult({**news, "not_ours": ""})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        project, name = str(props["project_id"]), str(props["branch_name"])
        with neon() as client:
            try:
                left = client.find_branch(project, name)
            except NotFound:  # the project is gone, and the branch with it
                return
            if left is None or left.id == props["not_ours"]:
                return
            stack = str(props.get("stack") or "NAME")
            if client.endpoints(project, left.id):
                raise Refused(
                    f"the project {project} has a branch {name} ({left.id}) with a compute, which the state does not know: "
                    "it was not deleted",
                    remedy=f"Take it in, with its rows: pulumi config set --stack {stack} branchId {left.id}, then pulumi up. "
                    f"Or delete it, with its rows: neonctl branches delete {left.id} --project-id {project}. Or leave it: "
                    f"pulumi state delete --stack {stack} URN, with the URN of the BranchRemoval.",
                )
            refuse_what_may_not_go(client, project, left.id, stack)
            client.delete_branch(project, left.id)


class BranchRemoval(Resource, module="neon", name="BranchRemoval"):
    """Makes sure that a branch of that name is gone when the resources that depend on this one are deleted.

    `not_ours` is the id of the branch that had the name before this stack, or "". `taken_in` is one that had it and is
    this stack's from now on, or "".
    """

    not_ours: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        project_id: pulumi.Input[str],
        branch_name: str,
        taken_in: str,
        stack: str,
        opts: pulumi.ResourceOptions,
    ) -> None:
        inputs = {
            "project_id": project_id,
            "branch_name": branch_name,
            "taken_in": taken_in,
            "stack": stack,
            "not_ours": None,
        }
        super().__init__(_Provider(), name, inputs, opts)
