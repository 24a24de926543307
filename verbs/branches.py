"""`branches`: a Neon project's branches, and projects that bear its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import JSON, verb

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from pipeline.environments.branches import OwnedBranch, OwnedBranches


@verb(
    "read",
    "platform engineers",
    flags={
        "env": "the environment whose project is looked at (prod)",
        "clean": "first delete what ended runs of the pipeline have left: expired branches, and those of runs that are dead",
        "json": JSON,
    },
    bare="env",
)
def branches(root: Path, env: str = "prod", clean: bool = False, json: bool = False) -> None:
    """List the Neon branches of an environment's project, and whose each is."""
    from pipeline.environments.branches import owned_branches
    from pipeline.environments.variables import load_env_file

    load_env_file(root)
    found = owned_branches(root, env, clean=clean)
    if json:
        from pipeline.console.documents import branches_document, print_document

        print_document(branches_document(found))
    else:
        if clean:
            _show_deleted(found)
        _show(found)


def _show_deleted(found: OwnedBranches) -> None:
    from pipeline.console.text import counted, say

    say(
        f"{counted(len(found.deleted), 'branch', 'branches')} deleted{': ' * bool(found.deleted)}{', '.join(found.deleted)}"
    )


def _show(found: OwnedBranches) -> None:
    """A line for each branch, parents first, and a warning for each namesake of the project."""
    from pipeline.console.text import say

    say(f"{found.project.name} ({found.project.id})")
    wide = max(24, *(len(each.line.name) for each in found.branches)) if found.branches else 24
    say(
        f"  {'branch':{wide}} {'whose':14} {'id':28} {'parent':24} {'age':>8} {'expires':>8} {'size':>9}  state",
    )
    for each in found.branches:
        say(_row(each, wide))
    for other in found.namesakes:
        say(
            f"warning: another project is named {other.name}: {other.id}, made {other.created_at:%Y-%m-%d %H:%M} UTC. "
            "If a failed `pulumi up` left it, delete it in Neon's console (docs/infrastructure.md)."
        )


def _row(each: OwnedBranch, wide: int) -> str:
    line, whose = each.line, each.purpose.value if each.purpose else f"stack {each.stack}" if each.stack else "nobody's"
    marks = [line.state, *(["default"] if line.default else []), *(["protected"] if line.protected else [])]
    size = "?" if line.size is None else f"{line.size / 2**20:.0f} MiB"
    expires = "never" if line.expires_in is None else _short(line.expires_in)
    return (
        f"  {line.name:{wide}} {whose:14} {line.id:28} {line.parent or '-':24} {_short(line.age):>8} {expires:>8} {size:>9}  "
        f"{', '.join(marks)}"
    )


def _short(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
