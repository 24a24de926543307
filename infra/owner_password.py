"""The password of a branch's owner role, made or taken over in the graph.

Trap: without protected branches (Free plan) a branch shares every password of its parent, so a new branch's owner must
get one of its own before anything is published. Trap: the provider's data source gives "" for a password that it may
not read, and marks none of them secret; its project resource shows one only for the oldest database. Trap: a password
that was rotated in the console stays stale. Here it is asked of the API by name, is never empty, is a secret from the
start, and is rotated by a setting.

The state of every stack names this module and its class: `_Provider` in `infra.owner_password` has to be found by that
name for as long as a stack that was made with it exists. tests/infra/test_pinned.py holds the names.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from infra import neon, require_key
from infra.branch_guard import refuse_what_may_not_go
from pipeline.neon import NotFound


class _Provider(ResourceProvider):
    """Stored in the state: it captures nothing."""

    serialize_as_secret_always = False  # there is nothing secret in it, and a readable state is easier to review

    def create(self, props: dict[str, Any]) -> CreateResult:
        reset = bool(props["reset_when_made"])
        return CreateResult(f"{props['branch_id']}/{props['role']}", {**props, "password": _password(props, reset)})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        elsewhere = [name for name in ("project_id", "branch_id", "role") if olds[name] != news[name]]
        changed = int(olds["version"]) != int(news["version"])
        return DiffResult(changes=changed or bool(elsewhere), replaces=elsewhere)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult({**news, "password": _password(news, reset=int(news["version"]) > 0)})

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        try:
            return ReadResult(id_, {**props, "password": _password(props, reset=False)})
        except NotFound:
            return ReadResult("", {})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Delete nothing, since the role lives and dies with the branch, but stop a destroy that has no valid key.

        In the state of an earlier version nothing depends on this resource, so it is the first to go: it asks what the
        guard asks (infra/branch_guard.py). A project's own branch is not deleted by a destroy.
        """
        require_key()
        project, branch = str(props["project_id"]), str(props["branch_id"])
        with neon() as client, suppress(NotFound):
            if not client.branch(project, branch).default:
                refuse_what_may_not_go(client, project, branch, "NAME")


def _password(props: dict[str, Any], reset: bool) -> str:
    where = props["project_id"], props["branch_id"], props["role"]
    with neon() as client:
        return client.reset_password(*where) if reset else client.reveal_password(*where)


class OwnerPassword(Resource, module="neon", name="OwnerPassword"):
    """The owner's present password. Another `version` resets it; `reset_when_made` resets an inherited one."""

    password: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        project_id: pulumi.Input[str],
        branch_id: pulumi.Input[str],
        role: str,
        version: int,
        reset_when_made: bool,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__(
            _Provider(),
            name,
            {
                "project_id": project_id,
                "branch_id": branch_id,
                "role": role,
                "version": version,
                "reset_when_made": reset_when_made,
                "password": None,
            },
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["password"])),
        )
