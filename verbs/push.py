"""`push`: schema.sql straight onto the local database, for trying things out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import verb

if TYPE_CHECKING:
    from pathlib import Path


@verb("local-only", "developers", flags={"allow-destructive": "also where rows are lost"})
def push(root: Path, allow_destructive: bool = False) -> None:
    """Put schema.sql straight onto the local database, with no file."""
    from pipeline.console.asking import type_name
    from pipeline.console.progress import progress
    from pipeline.console.text import say
    from pipeline.generate.entry import push_here

    with progress() as shown:
        _environment, pushed = push_here(root, allow_destructive=allow_destructive, observer=shown, ask=type_name)
    for statement in pushed.statements:
        say(f"{statement};")
    for loss in pushed.losses:
        say(f"lost data: {loss}")
    if not pushed.statements:
        say("nothing to do: the local database is as schema.sql says")
