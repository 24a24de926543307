"""The branch of a preview: made, or the one that is there taken back to its parent, or refused where it is somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeline.errors import Refused
from pipeline.leases import Purpose, is_lease, take, take_back
from pipeline.neon.failures import OperationFailed
from pipeline.neon.shapes import Compute
from pipeline.preview.without_rows import make_without_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from pipeline.environments.place import Parent
    from pipeline.leases import Lease
    from pipeline.neon import Branch, NeonClient

COMPUTE: Final = Compute(0.25, 1)  # as dev's: nobody measures anything on a preview


def find(branches: Sequence[Branch], name: str) -> Branch | None:
    """The branch of a preview among a project's.

    Raises:
        Refused: the one of that name is not one that the pipeline made.
    """
    full = f"{Purpose.PREVIEW.value}/{name}"
    found = next((branch for branch in branches if branch.name == full), None)
    if found is not None and not is_lease(found):
        why = "it never expires" if found.expires_at is None else "it is a branch of its own and no copy"
        raise Refused(
            f"the branch {full} ({found.id}) is there, and `preview` did not make it: {why}",
            remedy="Nothing was changed. Give another --name, or rename or delete the branch in Neon's console.",
        )
    return found


def make_or_renew(
    client: NeonClient, parent: Parent, name: str, found: Branch | None, *, lasts: timedelta, schema_only: bool
) -> tuple[Lease, bool]:
    """The preview's lease, and whether its branch was there and is that one still.

    What cannot be taken back is deleted and made anew: a branch without rows, which has no parent; one of another parent, as
    after a restore of that in place; one without a compute; and one whose making failed.
    """
    if found is not None:
        if not schema_only and _can_be_taken_back(client, parent, found):
            return take_back(client, parent.source, Purpose.PREVIEW, found, lasts=lasts), True
        client.delete_branch(parent.source.project_id, found.id, hard=True)
    if schema_only:
        return make_without_rows(client, parent, name, lasts=lasts, compute=COMPUTE), False
    return take(client, parent.source, Purpose.PREVIEW, name, lasts=lasts, compute=COMPUTE), False


def _can_be_taken_back(client: NeonClient, parent: Parent, branch: Branch) -> bool:
    if branch.is_schema_only or branch.parent_id != parent.branch.id:
        return False
    try:
        client.settle(parent.source.project_id, branch.id)  # of a run that was killed
    except OperationFailed:
        return False
    return any(each.type == "read_write" for each in client.endpoints(parent.source.project_id, branch.id))
