"""Which branch a stack takes in instead of making one: the one of `branchId`, or the one that its state remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from infra import neon
from infra.settings import BranchSettings, SettingError
from pipeline.neon import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.recall import Recalled
    from pipeline.neon import Branch


@dataclass(frozen=True)
class ExistingBranch:
    """What there is of a stack's branch: the id under which it is imported (None: not at all), and whether it is kept.

    `kept` is a branch that the state has and Neon too; it stays as it is, wherever its parent moved.
    """

    import_id: str | None = None
    kept: Recalled | None = None


def find_existing(
    stack: str, settings: BranchSettings, before: Recalled, owner: Callable[[], str], *, full_name: str
) -> ExistingBranch:
    """Decide it. `owner` gives the id of the project that the parent stack owns; it is asked when it matters.

    Raises SettingError for a `branchId` that cannot be taken in.
    """
    wanted = settings.branch_id
    if before.managed:
        if wanted is not None and wanted != before.branch_id:
            raise SettingError(
                f"stack {stack}: the setting branchId is {wanted!r}, and the stack has another branch, {before.branch_id}.\n"
                f"Keep that one with: pulumi config rm --stack {stack} branchId\n"
                f"Or let it go first (it stays on Neon): pulumi state delete --stack {full_name} --target-dependents URN, "
                "with the URN of the Branch from pulumi stack --show-urns."
            )
        # An import of what the state already has would be a replacement: the engine compares import ids.
        if _branch(before.project_id, before.branch_id) is None:
            pulumi.log.warn(
                f"{before.branch_id}, the branch of this stack, is not on Neon any more. "
                f"Look again, and make another: pulumi up --stack {stack} --refresh"
            )
            return ExistingBranch()
        return ExistingBranch(kept=before)
    candidate = wanted or before.branch_id
    if not candidate:
        return ExistingBranch()
    project = settings.project_id or owner() or before.project_id
    found = _branch(project, candidate)
    if found is None or found.default:
        if wanted is None:
            return ExistingBranch()
        said = "is not a branch of" if found is None else "is the default branch of"
        raise SettingError(
            f"stack {stack}: the setting branchId is {wanted!r}, which {said} the project {project}.\n"
            f"Remove it with: pulumi config rm --stack {stack} branchId"
        )
    if wanted is None:
        pulumi.log.warn(f"{candidate}, which the state remembers, is there: it is taken back in, with its rows")
    return ExistingBranch(import_id=f"{project}/{candidate}")


def refuse_to_move(stack: str, kept: Recalled, project_id: str, parent_id: str) -> None:
    """Refuse another project or parent for a branch that is there: it cannot move, and a new one would begin without its rows."""
    now, made = f"{project_id}/{parent_id}", f"{kept.project_id}/{kept.cut_from or parent_id}"
    if now == made:
        return
    raise pulumi.RunError(
        f"stack {stack}: the branch {kept.branch_id} was cut from {made}, and the settings now say {now}. "
        "A branch cannot move; nothing was changed.\n"
        f"To keep it, with its rows: pulumi config rm --stack {stack} parentStack, then pulumi config set --stack {stack} "
        f"projectId {kept.project_id} and parentBranchId {kept.cut_from or parent_id}\n"
        f"To make another, without them: pulumi destroy --stack {stack}, then pulumi up --stack {stack}"
    )


def _branch(project_id: str, branch_id: str) -> Branch | None:
    if not project_id:
        return None
    with neon() as client:
        try:
            return client.branch(project_id, branch_id)
        except NotFound:
            return None
