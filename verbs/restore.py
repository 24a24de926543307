"""`restore`: the way back of an environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verbs import JSON, on_environment, verb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@verb(
    "deploy",
    "platform engineers",
    flags={
        "env": "the environment: dev, prod, or another stack; with nothing else, where it can go back to is listed",
        "before": "look at what was there before this migration (its number): a branch for 24 hours, and what became of tables",
        "show": "the branch's URL with its password",
        "large": "also compare tables of more than 20 GiB, which are read whole",
        "release": "let this migration (its number), which a restore undid, run again as it is; may be repeated",
        "json": JSON,
    },
    repeatable=("release",),
    bare="before",
)
def restore(
    root: Path,
    env: str = "",
    before: str = "",
    show: bool = False,
    large: bool = False,
    release: Sequence[str] = (),
    json: bool = False,
) -> None:
    """List where an environment can go back to, look there, and go back."""
    from pipeline.console.flags import migration, not_with, only_with, required
    from pipeline.console.restore_document import look_document, points_document
    from pipeline.console.restore_text import show_look, show_points
    from pipeline.restore.holding import release as let_run
    from pipeline.restore.looking import look
    from pipeline.restore.points import read_points

    only_with("before", before, show=show, large=large)
    not_with("release", bool(release), before=bool(before))
    with on_environment(root, required("env", env, "prod"), "restore") as checkout:
        released = let_run(checkout, [migration(each) for each in release]) if release else ()
        if released:
            checkout.observer.note(f"released: {', '.join(released)}; the next deploy runs them as they are")
        if not before:
            points = read_points(checkout, os.environ)
        else:
            seen = look(checkout, migration(before), os.environ, large=large)
    name = checkout.environment.name
    if json:
        from pipeline.console.documents import print_document

        print_document(look_document(name, seen, show=show) if before else points_document(name, points))
    elif before:
        show_look(seen, show=show)
    else:
        show_points(points)
