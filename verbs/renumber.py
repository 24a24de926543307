"""`renumber`: the next free number for migrations whose number was merged by somebody else meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import verb

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.check.renumbering import Renumbered


@verb(
    "local-only",
    "developers",
    flags={
        "base": "the branch that it will be merged into; left out, origin's default branch",
        "migration": "the id or number of the one to move, with what depends on it; left out, all that clash; may be repeated",
    },
    repeatable=["migration"],
    bare="migration",
)
def renumber(root: Path, base: str = "", migration: list[str] | None = None) -> None:
    """Give migrations whose number was taken meanwhile the next free one."""
    from pipeline.check.renumbering import renumber_here
    from pipeline.console.flags import migration as migration_id
    from pipeline.console.progress import progress
    from pipeline.console.terminal import type_name

    with progress() as shown:
        _show(
            renumber_here(
                root,
                base=base or None,
                chosen=[migration_id(each) for each in migration or []],
                observer=shown,
                ask=type_name,
            )
        )


def _show(renumbered: Renumbered) -> None:
    """Which migration has which number now, in the folder and in the local history, and what is to be done there."""
    from pipeline.console.text import say

    for old, new in renumbered.ids:
        say(f"{old} is {new} now, with its rollback file")
    if not renumbered.ids:
        say(f"no number is taken{f' on {renumbered.base}' if renumbered.base else ''}")
    if renumbered.history is None:
        say(f"the local history was not changed: {renumbered.why}")
        say("`./inv renumber` brings it up to date once the database can be asked")
        return
    for old, new in renumbered.history.rows:
        say(f"in the local history, {old} is {new} now")
    if early := renumbered.history.too_early:
        say(
            f"{', '.join(early)}: not applied here, and before what is. `./inv switch` undoes that, and applies all in order"
        )
