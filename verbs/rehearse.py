"""`rehearse`: what the pending migrations do to production, seen on copies of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verbs import verb

if TYPE_CHECKING:
    from pathlib import Path


@verb(
    "read",
    "CI",
    flags={"env": "the environment whose branch is copied: prod, or another stack"},
    bare="env",
)
def rehearse(root: Path, env: str = "") -> None:
    """Run the pending migrations on copies of an environment, and say what they do to it."""
    from pipeline import packages
    from pipeline.console.progress import progress
    from pipeline.console.text import counted, say
    from pipeline.environments.place import place_of
    from pipeline.environments.variables import load_env_file
    from pipeline.errors import NotMeasured, ProvenBreak
    from pipeline.rehearsal.result import Result

    load_env_file(root)
    place = place_of(env, root, "rehearse")
    packages.ensure("infra")
    from pipeline.neon import NeonClient
    from pipeline.rehearsal.rehearsing import rehearse as on_copies

    with progress() as shown, NeonClient.from_environment(os.environ) as client:
        found = on_copies(root, place, client, shown)
    say(f"{found.result.value}: {counted(len(found.pending))} on {found.origin.branch_name} at {found.origin.lsn}")
    if found.result is Result.BROKEN:
        raise ProvenBreak("the pending migrations break something", remedy="Production was not touched.")
    if found.result is Result.NOT_MEASURED:
        raise NotMeasured("; ".join(found.not_measured), remedy="Production was not touched.")
