"""`baseline`: a database that another tool migrated is taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import ENV, UNCOMMITTED, on_environment, verb

if TYPE_CHECKING:
    from pathlib import Path


@verb(
    "deploy",
    "platform engineers",
    flags={
        "env": ENV,
        "through": "the id or number of the last migration whose effect the database has already",
        "uncommitted": UNCOMMITTED,
    },
)
def baseline(root: Path, through: str = "", env: str = "", uncommitted: bool = False) -> None:
    """Adopt a database that another tool migrated."""
    from pipeline.adopt import adopt
    from pipeline.console.flags import required
    from pipeline.console.text import counted, say

    last = required("through", through, "0003")
    with on_environment(root, env, "baseline", uncommitted=uncommitted) as checkout:
        adoption = adopt(checkout, last)
    tool = f" (from {adoption.tool})" if adoption.tool else ""
    if adoption.recorded:
        say(f"{counted(len(adoption.recorded))} recorded as applied{tool}: {adoption.server}")
    else:
        say(f"nothing to record: every migration through that one is in the history: {adoption.server}")
