"""The verbs. Each parses its flags, calls one function of the pipeline, and renders what came back.

What a verb needs is imported when it runs: a deploy with nothing to do spends most of its time on imports.
"""

# ruff: noqa: A002 - flags are named for those who type them: --json

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke import task

from pipeline.console.outcome import reported
from pipeline.verbs import VERBS

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke import Context

ROOT = Path(__file__).resolve().parent

ENV = "the environment: local, dev, prod, or another stack; left out, the bare DATABASE_URL"
JSON = "print one JSON document on standard output"
WAIT = "seconds to wait for another deploy to end (600)"


def verb(**options: Any) -> Callable[[Callable[..., None]], Any]:
    """Make a task of a function, with the help that the table of verbs has for its name."""

    def make(function: Callable[..., None]) -> Any:
        name = function.__name__.rstrip("_")
        function.__doc__ = VERBS[name].help
        return task(function, name=name, **options)

    return make


# -- developers --------------------------------------------------------------------------------------------------------


@verb(help={"wait": WAIT})
def migrate(_: Context, wait: str = "") -> None:
    with reported():
        from pipeline.console.flags import seconds
        from pipeline.console.progress import progress
        from pipeline.console.text import say, show_report
        from pipeline.deploy.entry import migrate as run

        with progress() as shown:
            environment, report = run(ROOT, observer=shown, lock_wait=seconds("wait", wait))
        show_report(report)
        say(f"DATABASE_URL={environment.url.masked()}")


@verb(help={"to": "the id or number of the migration to keep as the last one; 0000 rolls back all"})
def rollback(_: Context, to: str = "") -> None:
    with reported():
        from pipeline.console.flags import required
        from pipeline.console.progress import progress
        from pipeline.console.text import show_rollback
        from pipeline.deploy.entry import roll_back

        with progress() as shown:
            _environment, report = roll_back(ROOT, required("to", to, "0003"), observer=shown)
        show_rollback(report)


# -- CI and platform engineers -----------------------------------------------------------------------------------------


@verb(help={"env": ENV, "json": JSON, "wait": WAIT})
def deploy(_: Context, env: str = "", json: bool = False, wait: str = "") -> None:
    with reported(as_json=json):
        from pipeline.console.flags import seconds
        from pipeline.console.progress import progress
        from pipeline.deploy.entry import deploy as run

        with progress() as shown:
            environment, report = run(ROOT, env or None, observer=shown, lock_wait=seconds("wait", wait))
        if json:
            from pipeline.console.documents import deploy_document, print_document

            print_document(deploy_document(environment.name, report))
        else:
            from pipeline.console.text import show_report

            show_report(report)


@verb(help={"env": ENV, "json": JSON})
def plan(_: Context, env: str = "", json: bool = False) -> None:
    with reported(as_json=json):
        from pipeline.console.documents import plan_document, print_document
        from pipeline.console.progress import progress
        from pipeline.console.text import show_plan
        from pipeline.deploy.entry import look_at

        with progress() as shown:
            environment, survey = look_at(ROOT, env or None, observer=shown)
        survey.raise_faults()
        if json:
            print_document(plan_document(environment.name, survey))
        else:
            show_plan(survey)


@verb(help={"env": ENV, "json": JSON})
def status(_: Context, env: str = "", json: bool = False) -> None:
    with reported():
        from pipeline.console.documents import print_document, status_document
        from pipeline.console.progress import progress
        from pipeline.console.text import show_status
        from pipeline.deploy.entry import look_at

        with progress() as shown:
            environment, survey = look_at(ROOT, env or None, observer=shown)
        if json:
            print_document(status_document(environment.name, survey))
        else:
            show_status(survey)
        survey.raise_faults()


@verb(help={"env": ENV, "through": "the id or number of the last migration whose effect the database has already"})
def baseline(_: Context, through: str = "", env: str = "") -> None:
    with reported():
        from pipeline.adopt.entry import adopt
        from pipeline.console.flags import required
        from pipeline.console.progress import progress
        from pipeline.console.text import show_adoption

        with progress() as shown:
            adoption = adopt(ROOT, env or None, required("through", through, "0003"), observer=shown)
        show_adoption(adoption)


# -- this checkout -----------------------------------------------------------------------------------------------------


@verb()
def test(_: Context) -> None:
    with reported():
        import sys

        from pipeline import testing
        from pipeline.console.flags import after_dashes
        from pipeline.console.progress import Progress

        paths = after_dashes(sys.argv)
        tell = Progress().say
        raise SystemExit(testing.run_tests(ROOT, paths, tell=tell) if paths else testing.run_all(ROOT, tell=tell))
