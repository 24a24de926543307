"""`backfill`: go on with the data changes that deploys have registered, or say that they wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import ENV, JSON, on_environment, verb

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.deploy.backfilling import Backfilled


@verb(
    "deploy",
    "CI",
    flags={
        "env": ENV,
        "seconds": "stop behind the batch that is at work after so many seconds; left out, when nothing is left",
        "only": "the id or the number of one; left out, all that are registered, in order",
        "pause": "let them wait until --resume; who works on one stops behind its batch",
        "resume": "let those that are paused or aborted be gone on with, and go on",
        "abort": "give them up; files that depend on one are refused from now on",
        "json": JSON,
    },
    bare="env",
)
def backfill(
    root: Path,
    env: str = "",
    seconds: str = "",
    only: str = "",
    pause: bool = False,
    resume: bool = False,
    abort: bool = False,
    json: bool = False,
) -> None:
    """Go on with the data changes that deploys have registered, batch by batch, until nothing is left."""
    from pipeline.console.flags import migration, not_with
    from pipeline.console.flags import seconds as in_seconds
    from pipeline.deploy.backfilling import backfill as go_on
    from pipeline.deploy.backfilling import limits_of, say_of_backfills

    not_with("pause", pause, resume=resume, abort=abort)
    not_with("resume", resume, abort=abort)
    stops = "pause" if pause else "abort" if abort else ""
    not_with(stops, bool(stops), seconds=bool(seconds))
    limit, which = in_seconds("seconds", seconds), migration(only)
    with on_environment(root, env, "backfill", writes=True) as checkout:
        if stops or resume:
            found = say_of_backfills(checkout, stops or "resume", only=which)
        if not stops:
            found = go_on(checkout, only=which, seconds=limit, limits=limits_of(checkout))
    if json:
        from pipeline.console.documents import backfill_document, print_document

        print_document(backfill_document(checkout.environment.name, found))
    else:
        show_backfilled(found)


def show_backfilled(found: Backfilled) -> None:
    """A line for each backfill that is not complete, or was worked on, and one that sums up."""
    from pipeline.console.backfills import backfill_text
    from pipeline.console.text import counted, say, server_text
    from pipeline.history.backfills import ABORTED

    worked_on = {stand.backfill.id for stand in found.worked_on}
    for each in found.backfills:
        if not each.is_complete or each.id in worked_on:
            say(f"  {each.state:10} {backfill_text(each)}", "" if each.is_complete else "due")
    left = sum(each.is_open for each in found.backfills)
    given_up = sum(each.state == ABORTED for each in found.backfills)
    verdict = f"{counted(left, 'backfill')} to be gone on with" if left else "nothing is left to do"
    if given_up:
        verdict = f"{verdict if left else 'none to be gone on with'}, {given_up} given up: --resume takes that back"
    say(f"{verdict}: {server_text(found.server, found.identity)}")
