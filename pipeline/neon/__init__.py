"""Neon's API: what the pipeline asks of it, as typed calls that wait for the end and say what went wrong.

`NeonClient` makes the calls, `list_branches` lists the branches of a project, and the rest are the values that they return.
"""

from pipeline.neon.client import NeonClient
from pipeline.neon.failures import ApiError, NotFound, OperationFailed, OutcomeUnknown
from pipeline.neon.moments import Moment
from pipeline.neon.project_branches import BranchLine, ProjectBranches, list_branches
from pipeline.neon.shapes import Branch, Compute, Database, Endpoint, NewBranch, Operation, Project, Role, Snapshot
from pipeline.neon.transport import RetryPolicy

__all__ = [
    "ApiError",
    "Branch",
    "BranchLine",
    "Compute",
    "Database",
    "Endpoint",
    "Moment",
    "NeonClient",
    "NewBranch",
    "NotFound",
    "Operation",
    "OperationFailed",
    "OutcomeUnknown",
    "Project",
    "ProjectBranches",
    "RetryPolicy",
    "Role",
    "Snapshot",
    "list_branches",
]
