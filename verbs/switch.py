"""`switch`: the local database, to the git branch that is checked out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import on_local, verb

if TYPE_CHECKING:
    from pathlib import Path


@verb("local-only", "developers", flags={"yes": "do not ask"})
def switch(root: Path, yes: bool = False) -> None:
    """Undo locally what another git branch has applied, and apply this one's."""
    from pipeline.console.terminal import confirm
    from pipeline.console.text import counted, say, show_report
    from pipeline.local.switching import switch as undo_and_apply

    with on_local(root, "switch") as checkout:
        switched = undo_and_apply(checkout, confirm=(lambda _: True) if yes else confirm)
    for old, new in switched.renamed:
        say(f"in the local history, {old} is {new} now")
    if switched.undone:
        say(f"{counted(len(switched.undone))} undone: {', '.join(switched.undone)}")
    show_report(switched.report)
