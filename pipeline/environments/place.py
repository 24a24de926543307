"""Where an environment is on Neon: which branch of which project, found without its database's URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.environments import LOCAL
from pipeline.environments.stack import read_stack_ids
from pipeline.environments.stack_file import read_stack_file, stack_file_name
from pipeline.errors import ConfigurationError, UsageError
from pipeline.leases import Source
from pipeline.neon.shapes import Compute
from services import DATABASE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.neon import Branch, NeonClient

# Of a branch without a compute of its own: the sizes that the stacks' files begin with.
_USUAL = Compute(0.25, 2)


@dataclass(frozen=True)
class Place:
    """Where an environment is: its project, and its branch by id, or by name where that is empty."""

    environment: str
    project_id: str
    branch_id: str = ""
    branch_name: str = ""


@dataclass(frozen=True)
class Parent:
    """The branch of an environment, what copies of it are made of, and the size that their computes get."""

    environment: str
    branch: Branch
    source: Source
    compute: Compute


def place_of(environment: str, root: Path, verb: str) -> Place:
    """Where an environment is: as its stack's file says, where that has the project's id, else as the stack itself does.

    The first needs neither pulumi nor the stack's state, and the second reads the ids alone.

    Raises:
        UsageError: no environment was named, or the local one.
        ConfigurationError: neither says it.
    """
    if environment in {"", LOCAL}:
        raise UsageError(
            f"`{verb}` copies an environment on Neon"
            + (", and local is none" if environment else ", and none was named"),
            remedy=f"See: ./inv {verb} --help",
        )
    file = read_stack_file(environment, root)
    if file.project_id:
        return Place(environment, file.project_id, branch_name=file.branch_name)
    try:
        return Place(environment, *read_stack_ids(environment, root))
    except ConfigurationError as error:
        name = stack_file_name(environment)
        there = error.remedy.partition(", or set DATABASE_URL")[0].rstrip(".")  # of no use here
        error.remedy = f"{there}.\nWithout pulumi: write the Neon project's id into {name} (projectId)."
        raise


def find_parent(client: NeonClient, place: Place, branches: Sequence[Branch]) -> Parent:
    """Find the environment's branch among the project's, with its database and the size of its compute.

    Raises:
        ConfigurationError: the project has no such branch, or it cannot be told which database is meant.
        NeonFailed: Neon's API refused or was lost.
    """
    found = [
        each for each in branches if (each.id == place.branch_id if place.branch_id else each.name == place.branch_name)
    ]
    if not found:
        wanted = place.branch_id or place.branch_name
        raise ConfigurationError(
            f"the Neon project {place.project_id} has no branch {wanted}",
            where=stack_file_name(place.environment),
            remedy="There is: " + (", ".join(sorted(each.name for each in branches)) or "none") + ".",
        )
    [branch] = found
    databases = {each.name: each.owner_name for each in client.databases(place.project_id, branch.id)}
    name = DATABASE if DATABASE in databases or len(databases) != 1 else next(iter(databases))
    if name not in databases:
        raise ConfigurationError(
            f"the branch {branch.name} has no database {DATABASE}",
            remedy=f"There is: {', '.join(sorted(databases)) or 'none'}. The name stands in product.toml.",
        )
    computes = [each.compute for each in client.endpoints(place.project_id, branch.id) if each.type == "read_write"]
    source = Source(place.project_id, branch.id, databases[name], name)
    return Parent(place.environment, branch, source, computes[0] if computes else _USUAL)
