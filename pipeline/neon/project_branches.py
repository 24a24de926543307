"""What a Neon project holds: its branches, and projects of the same name that nobody may know about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.neon.client import NeonClient
    from pipeline.neon.shapes import Branch, Project


@dataclass(frozen=True)
class BranchLine:
    """One branch as a person wants to see it. `size` is in bytes, None while Neon has not measured it."""

    name: str
    id: str
    parent: str | None
    age: timedelta
    expires_in: timedelta | None
    size: int | None
    state: str
    default: bool
    protected: bool


@dataclass(frozen=True)
class ProjectBranches:
    """A project's branches, parents before children, and other projects that bear its name.

    `namesakes` are worth a look: the Terraform provider repeats a project's creation when a later step of it fails, and
    forgets the first one (docs/infrastructure.md, trap 2).
    """

    project: Project
    branches: tuple[BranchLine, ...]
    namesakes: tuple[Project, ...]


def list_branches(client: NeonClient, project_id: str, *, now: datetime | None = None) -> ProjectBranches:
    """List a project's branches and its namesakes (other projects of the same name in the same organization)."""
    moment = now or datetime.now(UTC)
    project = client.project(project_id)
    branches = client.branches(project_id)
    names = {branch.id: branch.name for branch in branches}
    same_name = client.projects(search=project.name, org_id=project.org_id)
    return ProjectBranches(
        project=project,
        branches=tuple(_line(branch, names, moment) for branch in _parents_first(branches)),
        namesakes=tuple(other for other in same_name if other.name == project.name and other.id != project.id),
    )


def _line(branch: Branch, names: dict[str, str], now: datetime) -> BranchLine:
    return BranchLine(
        name=branch.name,
        id=branch.id,
        parent=names.get(branch.parent_id, branch.parent_id) if branch.parent_id else None,
        age=now - branch.created_at,
        expires_in=branch.expires_at - now if branch.expires_at else None,
        size=branch.logical_size,
        state=branch.current_state,
        default=branch.default,
        protected=branch.protected,
    )


def _parents_first(branches: list[Branch]) -> list[Branch]:
    """Order as a tree, siblings by age and then by name; a branch whose parent is not listed counts as a root."""
    known = {branch.id for branch in branches}
    ordered: list[Branch] = []

    def add_children_of(parent: str | None) -> None:
        siblings = [b for b in branches if (b.parent_id if b.parent_id in known else None) == parent]
        for branch in sorted(siblings, key=lambda b: (b.created_at, b.name)):
            ordered.append(branch)
            add_children_of(branch.id)

    add_children_of(None)
    return ordered
