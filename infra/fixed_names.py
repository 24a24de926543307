"""Names that a setting gives once: the database, its owner, and a project's default branch.

Trap: they are made with the project, and `ignore_changes` keeps the provider from replacing it for another name. So a
changed setting would publish a connection string to nothing. A hook looks whether the branch has what the settings say,
in a preview too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pulumi
from pulumi import ResourceHook, ResourceHookOptions

from infra import neon
from pipeline.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulumi import ResourceHookArgs


class Names(NamedTuple):
    """The names that a Compute carries for the hook. `branch_name` is "" for a branch, which Neon can rename."""

    branch_name: str
    database: str
    role: str


def hook(name: str) -> ResourceHook:
    """Return the hook to bind before a Compute is made and before it changes."""
    return ResourceHook(f"{name}-fixed-names", _check, ResourceHookOptions(on_dry_run=True))


def _check(args: ResourceHookArgs) -> None:
    inputs: Mapping[str, Any] = args.new_inputs or {}
    project, branch = inputs.get("project_id"), inputs.get("branch_id")
    if not isinstance(project, str) or not isinstance(branch, str):
        return  # a preview of what is not made yet
    with neon() as client:
        if inputs.get("branch_name"):
            _require("branchName", inputs["branch_name"], [client.branch(project, branch).name], "name", branch)
        databases = [each.name for each in client.databases(project, branch)]
        roles = [each.name for each in client.roles(project, branch)]
    _require("databaseName", inputs["database"], databases, "database", branch)
    _require("ownerName", inputs["role"], roles, "role", branch)


def _require(setting: str, wanted: str, there: list[str], what: str, branch: str) -> None:
    if wanted in there:
        return
    listed = ", ".join(there) or "none"
    first = there[0] if there else "NAME"
    raise Refused(
        f"the branch {branch} has no {what} {wanted}. The setting {setting} cannot change once the project is made; "
        f"there is: {listed}",
        remedy=f"Set it right: pulumi config set --stack {pulumi.get_stack()} {setting} {first}",
    )
