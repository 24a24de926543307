"""The last word on a destroyed branch.

Trap: the provider takes the answer 422 to a delete for "already deleted", though Neon also says 422 when it refuses
("branch not ready yet"): the branch would live on, unknown and billed. The branch depends on this resource, so this one
is deleted after it, looks whether the branch is really gone, and else deletes it or fails the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

from infra.api import neon
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
        # A branch that somebody else made before is not this stack's to delete.
        return CreateResult(f"{project}/{name}", {**props, "not_ours": there.id if there else ""})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        elsewhere = [name for name in ("project_id", "branch_name") if olds[name] != news[name]]
        # Not deleted before it is replaced: when a branch is renamed, its old name is looked for after the renaming.
        return DiffResult(changes=bool(elsewhere), replaces=elsewhere, delete_before_replace=False)

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        project, name = str(props["project_id"]), str(props["branch_name"])
        with neon() as client:
            try:
                left = client.find_branch(project, name)
            except NotFound:  # the project is gone, and the branch with it
                return
            if left is not None and left.id != props["not_ours"]:
                client.delete_branch(project, left.id)


class BranchRemoval(Resource, module="neon", name="BranchRemoval"):
    """Makes sure that a branch of that name is gone when the resources that depend on this one are deleted.

    `not_ours` is the id of the branch that had the name before this stack, or "".
    """

    not_ours: pulumi.Output[str]

    def __init__(
        self, name: str, *, project_id: pulumi.Input[str], branch_name: str, opts: pulumi.ResourceOptions
    ) -> None:
        inputs = {"project_id": project_id, "branch_name": branch_name, "not_ours": None}
        super().__init__(_Provider(), name, inputs, opts)
