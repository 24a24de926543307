"""When Neon deletes a branch by itself: a setting that the Terraform provider does not have.

The state of every stack with the setting names this module and its class: `_Provider` in `infra.branch_expiry` has to be
found by that name for as long as such a stack exists. tests/infra/test_pinned.py holds the names.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from infra import neon
from pipeline.neon import NotFound

if TYPE_CHECKING:
    import pulumi


class _Provider(ResourceProvider):
    """Stored in the state: it captures nothing."""

    serialize_as_secret_always = False  # there is nothing secret in it, and a readable state is easier to review

    def create(self, props: dict[str, Any]) -> CreateResult:
        _send(props, datetime.fromisoformat(str(props["expires_at"])))
        return CreateResult(str(props["branch_id"]), props)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        elsewhere = [name for name in ("project_id", "branch_id") if olds.get(name) != news.get(name)]
        changed = olds.get("expires_at") != news.get("expires_at")
        return DiffResult(changes=changed or bool(elsewhere), replaces=elsewhere, delete_before_replace=True)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        _send(news, datetime.fromisoformat(str(news["expires_at"])))
        return UpdateResult(news)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        try:
            with neon() as client:
                found = client.branch(str(props["project_id"]), str(props["branch_id"])).expires_at
        except NotFound:
            return ReadResult("", {})
        if found is None:
            return ReadResult("", {})
        same = found == datetime.fromisoformat(str(props["expires_at"]))
        return ReadResult(id_, {**props, "expires_at": props["expires_at"] if same else found.isoformat()})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        try:
            _send(props, None)
        except NotFound:  # it has expired
            return


def _send(props: dict[str, Any], moment: datetime | None) -> None:
    with neon() as client:
        client.expire_branch(str(props["project_id"]), str(props["branch_id"]), moment)


class BranchExpiry(Resource, module="neon", name="BranchExpiry"):
    """The moment at which Neon deletes a branch. Without the resource, the branch stays."""

    def __init__(
        self,
        name: str,
        *,
        project_id: pulumi.Input[str],
        branch_id: pulumi.Input[str],
        expires_at: str,
        opts: pulumi.ResourceOptions,
    ) -> None:
        inputs = {"project_id": project_id, "branch_id": branch_id, "expires_at": expires_at}
        super().__init__(_Provider(), name, inputs, opts)
