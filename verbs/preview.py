"""`preview`: a branch of Neon for one pull request, with its migrations applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import JSON, SUMMARY, verb

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.preview import Wanted


@verb(
    "read",
    "developers",
    flags={
        "name": "the preview's name, as pr-12: its branch is preview/pr-12",
        "from": "the environment that it is a copy of (dev); nothing is changed there",
        "expires-hours": "in how many hours Neon deletes it by itself (72); each run begins them anew",
        "with-data": "with production's rows, which are personal data; without it prod's schema comes alone",
        "down": "delete it; one that is gone already is no fault",
        "show": "print the services' variables, passwords included",
        "json": JSON,
        "summary": SUMMARY,
    },
    bare="name",
)
def preview(  # noqa: PLR0913, PLR0917 - the parameters of a verb are its flags
    root: Path,
    name: str = "",
    from_: str = "dev",
    expires_hours: str = "72",
    with_data: bool = False,
    down: bool = False,
    show: bool = False,
    json: bool = False,
    summary: str = "",
) -> None:
    """Make a branch for a pull request, or take it back to its parent, and apply the pending migrations there."""
    from pipeline.console.flags import hours, not_with, required
    from pipeline.environments.variables import load_env_file
    from pipeline.preview import Wanted

    not_with("down", down, with_data=with_data, show=show)
    wanted = Wanted(required("name", name, "pr-12"), from_, hours("expires-hours", expires_hours), with_data)
    load_env_file(root)
    if down:
        _down(root, wanted, as_json=json, summary=summary)
    else:
        _up(root, wanted, show=show, as_json=json, summary=summary)


def _up(root: Path, wanted: Wanted, *, show: bool, as_json: bool, summary: str) -> None:
    from dataclasses import replace

    from pipeline.console.documents import print_document
    from pipeline.console.preview import preview_document, show_about, show_result, writing_summary
    from pipeline.console.progress import progress
    from pipeline.deploy.checkout import deploy
    from pipeline.deploy.status import status
    from pipeline.preview import prepare, refuse_production, service_urls
    from verbs.status import show_plan

    with progress() as shown, writing_summary(summary, wanted) as told:
        prepared = told.prepared = prepare(root, wanted, observer=shown)
        found = told.found = replace(status(prepared.checkout), due_passwords=())  # they are the preview's own
        refuse_production(prepared, found.history.marker)
        if summary:
            from pipeline.check.deploys import lint_pending

            told.findings = [] if found.plan.faults else lint_pending(prepared.checkout, found.plan.pending)
        found.raise_faults()
        report = told.report = deploy(prepared.checkout)
        urls = service_urls(prepared) if show else {}
    if as_json:
        print_document(preview_document(prepared, found, report, urls))
    else:
        show_about(prepared)
        show_plan(found)
        show_result(prepared, report, urls)


def _down(root: Path, wanted: Wanted, *, as_json: bool, summary: str) -> None:
    from pipeline.console.documents import print_document
    from pipeline.console.preview import down_document, down_text
    from pipeline.console.text import say
    from pipeline.preview import take_down

    deleted = take_down(root, wanted.name, wanted.environment)
    if summary:
        from pipeline.console.markdown import append

        append(summary, down_text(wanted, deleted))
    if as_json:
        print_document(down_document(wanted, deleted))
    else:
        say(f"preview/{wanted.name} is deleted" if deleted else f"there is no preview/{wanted.name}: nothing to do")
