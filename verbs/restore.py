"""`restore`: the way back of an environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from verbs import JSON, on_environment, verb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.console.restore_text import Found
    from pipeline.deploy.checkout import Checkout


@verb(
    "deploy",
    "platform engineers",
    flags={
        "env": "the environment: dev, prod, or another stack; with nothing else, where it can go back to is listed",
        "before": "look at what was there before this migration (its number): a branch for 24 hours, and what became of tables",
        "take": "write the rows of this table that are not there any more, and a draft of a migration with them, into files",
        "in-place": "let the environment itself go back to before that migration: all that was written since is lost",
        "confirm": "the environment's name, where nobody is there to type it",
        "with-writers": "with --confirm, also while others are connected: what they write until then is lost",
        "show": "the branch's URL with its password",
        "large": "also compare tables of more than 20 GiB, which are read whole",
        "release": "let this migration (its number), which a restore undid, run again as it is; may be repeated",
        "json": JSON,
    },
    repeatable=("release",),
    bare="before",
)
def restore(  # noqa: PLR0913, PLR0917 - each is a flag
    root: Path,
    env: str = "",
    before: str = "",
    take: str = "",
    in_place: bool = False,
    confirm: str = "",
    with_writers: bool = False,
    show: bool = False,
    large: bool = False,
    release: list[str] | None = None,
    json: bool = False,
) -> None:
    """List where an environment can go back to, look there, and go back."""
    from pipeline.console.flags import migration, not_with, only_with, required

    only_with("before", before, show=show, large=large, in_place=in_place, take=bool(take))
    only_with("in-place", "in-place" if in_place else "", confirm=bool(confirm), with_writers=with_writers)
    not_with("in-place", in_place, show=show, take=bool(take))
    not_with("release", bool(release), before=bool(before))
    point = migration(before) if before else ""
    with on_environment(root, required("env", env, "prod"), "restore") as checkout:
        if in_place:
            found = _go_back(checkout, point, confirm, with_writers=with_writers, large=large)
        elif take:
            found = _take(checkout, point, take)
        elif before:
            found = _look(checkout, point, large=large)
        else:
            found = _list(checkout, [migration(each) for each in release or ()])
    if json:
        from pipeline.console.documents import print_document
        from pipeline.console.restore_document import document_of

        print_document(document_of(checkout.environment.name, found, show=show))
    else:
        from pipeline.console.restore_text import show_found

        show_found(checkout.environment.name or "", found, show=show)


def _list(checkout: Checkout, release: Sequence[str]) -> Found:
    """Where it can go back to, behind what was asked to be released."""
    from pipeline.restore.holding import release as let_run
    from pipeline.restore.points import read_points

    if release:
        released = let_run(checkout, release)
        checkout.observer.note(f"released: {', '.join(released)}; the next deploy runs what is released as it is")
    return read_points(checkout, os.environ)


def _look(checkout: Checkout, before: str, *, large: bool) -> Found:
    from pipeline.restore.looking import look

    return look(checkout, before, os.environ, large=large)


def _take(checkout: Checkout, before: str, table: str) -> Found:
    from pipeline.restore.taking import take_rows

    return take_rows(checkout, before, table, os.environ)


def _go_back(checkout: Checkout, before: str, confirm: str, *, with_writers: bool, large: bool) -> Found:
    from pipeline.console.restore_text import show_loss
    from pipeline.console.terminal import type_name
    from pipeline.restore.consent import consent_of
    from pipeline.restore.in_place import go_back

    name = checkout.environment.name or ""
    consent = consent_of(name, confirmed=confirm, with_writers=with_writers, tell=show_loss, ask=type_name)
    return go_back(checkout, before, os.environ, consent=consent, large=large)
