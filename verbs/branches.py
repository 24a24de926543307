"""`branches`: a Neon project's branches, and projects that bear its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import JSON, verb

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from pipeline.neon.project_branches import BranchLine, ProjectBranches


@verb(
    "read", "platform engineers", flags={"env": "the stack whose project is looked at (prod)", "json": JSON}, bare="env"
)
def branches(root: Path, env: str = "prod", json: bool = False) -> None:
    """List the Neon branches of an environment's project."""
    from pipeline.environments.stack import neon_branches

    found = neon_branches(root, env)
    if json:
        from pipeline.console.documents import branches_document, print_document

        print_document(branches_document(found))
    else:
        _show(found)


def _show(found: ProjectBranches) -> None:
    """A line for each branch, parents first, and a warning for each namesake of the project."""
    from pipeline.console.text import say

    say(f"{found.project.name} ({found.project.id})")
    say(f"  {'branch':24} {'id':28} {'parent':24} {'age':>8} {'expires':>8} {'size':>9}  state")
    for line in found.branches:
        say(_row(line))
    for other in found.namesakes:
        say(
            f"warning: another project is named {other.name}: {other.id}, made {other.created_at:%Y-%m-%d %H:%M} UTC. "
            "If a failed `pulumi up` left it, delete it in Neon's console (docs/infrastructure.md)."
        )


def _row(line: BranchLine) -> str:
    marks = [line.state, *(["default"] if line.default else []), *(["protected"] if line.protected else [])]
    size = "?" if line.size is None else f"{line.size / 2**20:.0f} MiB"
    expires = "never" if line.expires_in is None else _short(line.expires_in)
    return (
        f"  {line.name:24} {line.id:28} {line.parent or '-':24} {_short(line.age):>8} {expires:>8} {size:>9}  "
        f"{', '.join(marks)}"
    )


def _short(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
