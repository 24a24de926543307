"""What the stack's state remembers of its branch, read before the program registers anything.

A branch can fall out of the state while it lives on Neon: a destroy that was refused half-way, a removal from the state
by hand, a refresh that met a 404. The rest of the state still names it then, so the next `pulumi up` takes it back in with
its rows, instead of making another. A program cannot ask the engine what it knows, so the CLI is asked, which needs no lock
to answer.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi

if TYPE_CHECKING:
    from collections.abc import Iterable

SECONDS = 60  # a state backend that does not answer by then is taken for lost

_BRANCH = "neon:index/branch:Branch"
# Who else names the branch, the most certain first.
_OTHERS = ("pulumi-python:dynamic/neon:BranchGuard", "neon:index/endpoint:Endpoint", "pulumi:pulumi:Stack")


@dataclass(frozen=True)
class Recalled:
    """The branch that the stack last had, or empty ids; `managed` while its resource is in the state.

    `cut_from` is the parent that the settings named when it was made, or "".
    """

    project_id: str = ""
    branch_id: str = ""
    managed: bool = False
    cut_from: str = ""


def recall(stack: str) -> Recalled:
    """Read the state of a stack (its full name). Raises pulumi.RunError when the CLI does not tell."""
    content = json.loads(_ask("stack", "export", "--stack", stack))
    return read((content.get("deployment") or {}).get("resources") or [])


def stack_output(stack: str, name: str) -> str:
    """Return one plain output of a stack, or "" when it has none. Raises pulumi.RunError when the CLI does not tell."""
    value = json.loads(_ask("stack", "output", "--json", "--stack", stack)).get(name)
    return value if isinstance(value, str) else ""


def read(resources: Iterable[dict[str, Any]]) -> Recalled:
    """Find the branch in the resources of an exported state."""
    living = {str(item["type"]): item for item in resources if not item.get("delete")}
    cut_from = _text(living.get(_OTHERS[0], {}), "parent_id")
    if _BRANCH in living:
        found = living[_BRANCH]
        return Recalled(_text(found, "projectId"), str(found["id"]), managed=True, cut_from=cut_from)
    for kind in _OTHERS:
        item = living.get(kind, {})
        project = _text(item, "project_id") or _text(item, "projectId")
        branch = _text(item, "branch_id") or _text(item, "branchId")
        if project and branch:
            return Recalled(project, branch, cut_from=cut_from)
    return Recalled()


def _text(item: dict[str, Any], name: str) -> str:
    for part in ("outputs", "inputs"):
        value = (item.get(part) or {}).get(name)
        if isinstance(value, str):
            return value
    return ""


def _ask(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise pulumi.RunError(f"pulumi {' '.join(arguments)} did not answer: {type(fault).__name__}") from None
    if done.returncode:
        raise pulumi.RunError(f"pulumi {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout
