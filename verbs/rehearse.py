"""`rehearse`: what the pending migrations do to an environment, seen on copies of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from verbs import JSON, SUMMARY, failure_in, verb

if TYPE_CHECKING:
    from pipeline.rehearsal.result import Rehearsal


@verb(
    "read",
    "CI",
    flags={
        "env": "the environment whose branch is copied: prod, or another stack",
        "json": JSON,
        "crash": "also kill the deploy behind each statement, on one more copy, and run it again",
        "with-traffic": "also plan the statements that the database at DATABASE_URL saw (pg_stat_statements)",
        "live": "the commit of the release that is live, where it brought no migration (the newest migration's)",
        "receipt": "where the receipt goes (.local/rehearsals/NAME.json, where `deploy` looks for it)",
        "page": "also write all of it as a page with a timeline of the locks into this file",
        "summary": SUMMARY,
    },
    bare="env",
)
def rehearse(  # noqa: PLR0913, PLR0917 - each is a flag
    root: Path,
    env: str = "",
    json: bool = False,
    crash: bool = False,
    with_traffic: bool = False,
    live: str = "",
    receipt: str = "",
    page: str = "",
    summary: str = "",
) -> None:
    """Run the pending migrations on copies of an environment, and say what they do to it."""
    from pipeline import packages
    from pipeline.console.flags import require_folders
    from pipeline.console.progress import progress
    from pipeline.environments.place import place_of
    from pipeline.environments.variables import load_env_file, require_database_url
    from pipeline.rehearsal.result import Result

    with failure_in(summary, "rehearse", env):
        require_folders(receipt=receipt, page=page, summary=summary)
        load_env_file(root)
        place = place_of(env, root, "rehearse")
        packages.ensure("infra")
        from pipeline.neon import NeonClient
        from pipeline.rehearsal.rehearsing import Asked
        from pipeline.rehearsal.rehearsing import rehearse as on_copies

        traffic = require_database_url("with-traffic") if with_traffic else None
        asked = Asked(root, place, crash=crash, traffic=traffic, live=live)
        with progress() as shown, NeonClient.from_environment(os.environ) as client:
            found = on_copies(asked, client, shown)
    try:
        _write(root, found, receipt, page, summary)
    finally:  # a file that cannot be written takes nothing of it away, nor does a reader that goes
        _show(found, as_json=json)
    if found.result is not Result.PASSED:
        _end(found)


def _write(root: Path, found: Rehearsal, receipt: str, page: str, summary: str) -> None:
    """Write what was asked for, and the receipt, whatever came of it: a deploy then says why it refuses."""
    from pipeline.console.webhook import run_url
    from pipeline.rehearsal.receipt import keep_receipt

    if page:
        from pipeline.console.pages import write
        from pipeline.console.pages.rehearsal import rehearsal_page

        write(Path(page), rehearsal_page(found))
    if summary:
        from pipeline.console.markdown import append
        from pipeline.console.rehearsal.summary import rehearsal_summary

        append(summary, rehearsal_summary(found))
    path = Path(receipt) if receipt else None
    keep_receipt(found, root, postgres=found.postgres, url=run_url(), path=path)


def _show(found: Rehearsal, *, as_json: bool) -> None:
    if as_json:
        from pipeline.console.documents import print_document
        from pipeline.console.rehearsal.document import rehearsal_document

        print_document(rehearsal_document(found))
    else:
        from pipeline.console.rehearsal.lines import show_rehearsal

        show_rehearsal(found)


def _end(found: Rehearsal) -> NoReturn:
    """Raise what ends the verb with the exit code of the result."""
    from pipeline.console.rehearsal import reason
    from pipeline.errors import NotMeasured, ProvenBreak
    from pipeline.rehearsal.result import Result

    name = found.origin.environment
    if found.result is Result.BROKEN:
        raise ProvenBreak(reason(found), remedy=f"{name} was not touched. docs/rehearsing.md says what to do about it.")
    raise NotMeasured(reason(found), remedy=f"{name} was not touched. Rehearse again: what is not measured is no pass.")
