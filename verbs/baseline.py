"""`baseline`: a database that another tool migrated is taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import DRY_RUN, ENV, NOTHING_DONE, UNCOMMITTED, on_environment, verb

if TYPE_CHECKING:
    from pathlib import Path


@verb(
    "deploy",
    "platform engineers",
    flags={
        "env": ENV,
        "through": "the id or number of the last migration whose effect the database has already",
        "uncommitted": UNCOMMITTED,
        "dry-run": DRY_RUN,
    },
    bare="through",
)
def baseline(root: Path, through: str = "", env: str = "", uncommitted: bool = False, dry_run: bool = False) -> None:
    """Adopt a database that another tool migrated."""
    from pipeline.adopt import adopt
    from pipeline.console.flags import migration, required
    from pipeline.console.text import counted, say

    last = migration(required("through", through, "0003"))
    with on_environment(root, env, "baseline", uncommitted=uncommitted) as checkout:
        adoption = adopt(checkout, last, dry_run=dry_run)
    tool = f" (from {adoption.tool})" if adoption.tool else ""
    if dry_run:
        for id_ in adoption.recorded:
            say(f"would be recorded as applied{tool}: {id_}")
        say(f"{NOTHING_DONE}: {adoption.server}")
    elif adoption.recorded:
        say(f"{counted(len(adoption.recorded))} recorded as applied{tool}: {adoption.server}")
    else:
        say(f"nothing to record: every migration through that one is in the history: {adoption.server}")
