"""`rehearse`: what the pending migrations do to an environment, seen on copies of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

from verbs import JSON, SUMMARY, failure_in, verb

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.rehearsal.result import Rehearsal


@verb(
    "read",
    "CI",
    flags={
        "env": "the environment whose branch is copied: prod, or another stack",
        "json": JSON,
        "page": "write a page with a timeline of locks into this file",
        "summary": SUMMARY,
        "crash": "also kill the deploy behind each statement, on one more copy, and run it again",
    },
    bare="env",
)
def rehearse(
    root: Path, env: str = "", json: bool = False, page: str = "", summary: str = "", crash: bool = False
) -> None:
    """Run the pending migrations on copies of an environment, and say what they do to it."""
    from pipeline import packages
    from pipeline.console.progress import progress
    from pipeline.environments.place import place_of
    from pipeline.environments.variables import load_env_file
    from pipeline.rehearsal.result import Result

    with failure_in(summary, "rehearse", env):
        load_env_file(root)
        place = place_of(env, root, "rehearse")
        packages.ensure("infra")
        from pipeline.neon import NeonClient
        from pipeline.rehearsal.rehearsing import Asked
        from pipeline.rehearsal.rehearsing import rehearse as on_copies

        with progress() as shown, NeonClient.from_environment(os.environ) as client:
            found = on_copies(Asked(root, place, crash=crash), client, shown)
    if json:
        from pipeline.console.documents import print_document
        from pipeline.console.rehearsal.document import rehearsal_document

        print_document(rehearsal_document(found))
    else:
        from pipeline.console.rehearsal.lines import show_rehearsal

        show_rehearsal(found)
    _write(found, page, summary)
    if found.result is not Result.PASSED:
        _end(found)


def _write(found: Rehearsal, page: str, summary: str) -> None:
    """Write the page and the summary that were asked for."""
    if page:
        from pathlib import Path as File

        from pipeline.console.pages import write
        from pipeline.console.pages.rehearsal import rehearsal_page

        write(File(page), rehearsal_page(found))
    if summary:
        from pipeline.console.markdown import append
        from pipeline.console.rehearsal.summary import rehearsal_summary

        append(summary, rehearsal_summary(found))


def _end(found: Rehearsal) -> NoReturn:
    """Raise what ends the verb with the exit code of the result."""
    from pipeline.console.rehearsal import reason
    from pipeline.errors import NotMeasured, ProvenBreak
    from pipeline.rehearsal.result import Result

    name = found.origin.environment
    if found.result is Result.BROKEN:
        raise ProvenBreak(reason(found), remedy=f"{name} was not touched. docs/rehearsing.md says what to do about it.")
    raise NotMeasured(reason(found), remedy=f"{name} was not touched. Rehearse again: what is not measured is no pass.")
