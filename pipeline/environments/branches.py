"""Whose each branch of an environment's project is: a stack's, the pipeline's and what for, or nobody's that could be told."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline import packages
from pipeline.environments.place import place_of
from pipeline.environments.stack_file import read_stack_file
from pipeline.leases import Purpose, is_lease, left_over, purpose_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.neon import Branch, BranchLine, NeonClient, Project


@dataclass(frozen=True)
class OwnedBranch:
    """A branch with its owner: `purpose` where the pipeline made it, `stack` where a stack has it, neither where nobody knows."""

    line: BranchLine
    purpose: Purpose | None = None
    stack: str = ""


@dataclass(frozen=True)
class OwnedBranches:
    """A project's branches, parents before children; other projects that bear its name; and what was `deleted` just now."""

    project: Project
    branches: tuple[OwnedBranch, ...]
    namesakes: tuple[Project, ...] = ()
    deleted: tuple[str, ...] = ()


def owned_branches(root: Path, name: str, *, clean: bool = False) -> OwnedBranches:
    """Ask Neon about the project of an environment. `clean` first deletes what ended runs of the pipeline have left there.

    Raises:
        ConfigurationError: nobody says where the environment is, or there is no NEON_API_KEY.
        NeonFailed: Neon's API refused or was lost.
    """
    place = place_of(name, root, "branches")
    packages.ensure("infra")
    from pipeline.neon import NeonClient, list_branches

    with NeonClient.from_environment(os.environ) as client:
        deleted = _clean(client, place.project_id) if clean else ()
        found = list_branches(client, place.project_id)
        by_id = {branch.id: branch for branch in client.branches(place.project_id)}
    stacks = _stacks(root, place.project_id)
    owned = tuple(_owned(line, by_id.get(line.id), stacks) for line in found.branches)
    return OwnedBranches(found.project, owned, found.namesakes, deleted)


def _clean(client: NeonClient, project_id: str) -> tuple[str, ...]:
    left = left_over(client.branches(project_id))
    return tuple(branch.name for branch in left if client.delete_branch(project_id, branch.id, hard=True))


def _stacks(root: Path, project_id: str) -> dict[str, str]:
    """The stacks of the checkout by the names of their branches, without those that say another project."""
    files = (read_stack_file(file.name.split(".")[1], root) for file in sorted(root.glob("Pulumi.*.yaml")))
    return {file.branch_name: file.environment for file in files if file.project_id in {"", project_id}}


def _owned(line: BranchLine, branch: Branch | None, stacks: Mapping[str, str]) -> OwnedBranch:
    if line.name in stacks:
        return OwnedBranch(line, stack=stacks[line.name])
    purpose = purpose_of(line.name)
    # a state from which somebody went back is kept without an end: it has the children of what was restored
    is_ours = purpose is Purpose.KEPT or (branch is not None and is_lease(branch))
    return OwnedBranch(line, purpose=purpose if is_ours else None)
