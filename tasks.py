"""The verbs. Each parses its flags, calls one function of the pipeline, and renders what came back.

What a verb needs is imported when it runs: a deploy with nothing to do spends most of its time on imports.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.tasks import task

from pipeline.console.outcome import reported
from pipeline.verbs import VERBS

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke.context import Context

ROOT = Path(__file__).resolve().parent

ENV = "the environment: local, dev, prod, or another stack; left out, the bare DATABASE_URL"
LOCAL_ENV = "the environment: local (the default), dev, prod, or another stack"
JSON = "print one JSON document on standard output"
UNCOMMITTED = "also migrations that are not those of the commit that is checked out; the history says so"
WAIT = "seconds to wait for another deploy to end (600)"


def verb(**options: Any) -> Callable[[Callable[..., None]], Any]:
    """Make a task of a function, with the help that the table of verbs has for its name."""

    def make(function: Callable[..., None]) -> Any:
        name = function.__name__.rstrip("_")
        function.__doc__ = VERBS[name].help
        return task(function, name=name, **options)

    return make


# -- developers --------------------------------------------------------------------------------------------------------


@verb(
    help={
        "name": "generate a migration of this name from the edited schema.sql, prove it, and apply it",
        "draft": "with --name: write it without applying it",
        "empty": "with --name: write a file to fill in by hand",
        "allow-destructive": "with --name: also where data is lost",
        "rename": "with --name: a rename in place of a drop and a create, as old=new; may be repeated",
        "wait": WAIT,
    },
    iterable=["rename"],
)
def migrate(
    _: Context,
    name: str = "",
    draft: bool = False,
    empty: bool = False,
    allow_destructive: bool = False,
    rename: list[str] | None = None,
    wait: str = "",
) -> None:
    with reported():
        from pipeline.console.asking import type_name
        from pipeline.console.flags import only_with, seconds
        from pipeline.console.progress import progress
        from pipeline.console.text import say, show_report

        only_with("name", name, draft=draft, empty=empty, allow_destructive=allow_destructive, rename=bool(rename))
        with progress() as shown:
            if not name:
                from pipeline.deploy.entry import migrate as run

                environment, report = run(ROOT, observer=shown, lock_wait=seconds("wait", wait), ask=type_name)
                show_report(report)
                from pipeline.generate.conflict import draw_after_conflict

                if page := draw_after_conflict(ROOT, environment.url):
                    say(f"the ER diagram of docs/{page.name} was in conflict, and was drawn anew: `git add` it")
            elif empty:
                from pipeline.console.generation import show_files
                from pipeline.generate.entry import write_empty

                show_files(write_empty(ROOT, name, observer=shown))
                return
            else:
                from pipeline.console.generation import show_generated
                from pipeline.generate.entry import migrate_by_name
                from pipeline.generate.proposing import Wishes

                wishes = Wishes(allow_destructive, tuple(rename or ()), draft)
                environment, generated = migrate_by_name(ROOT, name, wishes, observer=shown, ask=type_name)
                show_generated(generated)
        say(f"DATABASE_URL={environment.url.masked()}")


@verb(help={"from": "the id or number of the first one to prove; left out, the drafts, or the last one"})
def verify(_: Context, from_: str = "") -> None:
    with reported():
        from pipeline.console.asking import type_name
        from pipeline.console.generation import show_verified
        from pipeline.console.progress import progress
        from pipeline.generate.entry import verify_here

        with progress() as shown:
            show_verified(verify_here(ROOT, [from_] if from_ else [], observer=shown, ask=type_name))


@verb(
    help={
        "base": "the branch that it will be merged into; left out, origin's default branch",
        "migration": "the id or number of the one to move, with what depends on it; left out, all that clash; may be repeated",
    },
    iterable=["migration"],
)
def renumber(_: Context, base: str = "", migration: list[str] | None = None) -> None:
    with reported():
        from pipeline.check.renumbering import renumber_here
        from pipeline.console.asking import type_name
        from pipeline.console.generation import show_renumbered
        from pipeline.console.progress import progress

        with progress() as shown:
            show_renumbered(
                renumber_here(ROOT, base=base or None, chosen=migration or [], observer=shown, ask=type_name)
            )


@verb(help={"allow-destructive": "also where rows are lost"})
def push(_: Context, allow_destructive: bool = False) -> None:
    with reported():
        from pipeline.console.asking import type_name
        from pipeline.console.generation import show_pushed
        from pipeline.console.progress import progress
        from pipeline.generate.entry import push_here

        with progress() as shown:
            _environment, pushed = push_here(ROOT, allow_destructive=allow_destructive, observer=shown, ask=type_name)
        show_pushed(pushed)


@verb(help={"to": "the id or number of the migration to keep as the last one; 0000 rolls back all"})
def rollback(_: Context, to: str = "") -> None:
    with reported():
        from pipeline.console.asking import type_name
        from pipeline.console.flags import required
        from pipeline.console.progress import progress
        from pipeline.console.text import show_rollback
        from pipeline.deploy.entry import roll_back

        with progress() as shown:
            _environment, report = roll_back(ROOT, required("to", to, "0003"), observer=shown, ask=type_name)
        show_rollback(report)


@verb(
    help={
        "threads": "how many threads (100)",
        "messages": "how many messages in all (1000)",
        "seed": "the seed of the random numbers: the same one gives the same rows (0)",
    }
)
def seed(_: Context, threads: int = 100, messages: int = 1000, seed: int = 0) -> None:
    with reported():
        from pipeline.console.asking import type_name
        from pipeline.console.progress import progress
        from pipeline.console.text import say
        from pipeline.local.seeding import seed_here

        tell = progress().note
        made = seed_here(ROOT, threads=threads, messages=messages, number=seed, tell=tell, ask=type_name)
        say(f"{made.people} people, {made.threads} threads, {made.messages} messages, {made.consents} consents")


@verb(help={"yes": "do not ask"})
def reset(_: Context, yes: bool = False) -> None:
    with reported():
        from pipeline.console.asking import confirm, type_name
        from pipeline.console.progress import progress
        from pipeline.console.text import show_report
        from pipeline.local.reset import reset as run

        with progress() as shown:
            _environment, report = run(
                ROOT, confirm=(lambda _: True) if yes else confirm, observer=shown, ask=type_name
            )
        show_report(report)


@verb()
def up(_: Context) -> None:
    with reported():
        from pipeline.console.progress import progress
        from pipeline.console.text import say
        from pipeline.local.servers import up as run

        environment = run(ROOT, tell=progress().note)
        say(f"{environment.source}: DATABASE_URL={environment.url.masked()}")


@verb()
def down(_: Context) -> None:
    with reported():
        from pipeline.console.progress import progress
        from pipeline.console.text import say
        from pipeline.local.servers import down as run

        for stopped in run(ROOT, tell=progress().note) or ("nothing that runs",):
            say(f"stopped: {stopped}")


# -- everybody ---------------------------------------------------------------------------------------------------------


@verb(
    help={
        "env": LOCAL_ENV,
        "for": "render it for a client: asyncpg, prisma, psycopg or yoyo",
        "show": "with the password",
    }
)
def url(_: Context, env: str = "local", for_: str = "", show: bool = False) -> None:
    with reported():
        from pipeline.console.progress import progress
        from pipeline.console.text import say
        from pipeline.local.url import url as run

        shown = progress()
        rendered = run(ROOT, env or None, client=for_ or None, show=show, tell=shown.note)
        say(rendered.text)
        for note in rendered.notes:
            shown.note(note)


@verb(help={"env": LOCAL_ENV})
def psql(_: Context, env: str = "local") -> None:
    with reported():
        import sys

        from pipeline.console.flags import after_dashes
        from pipeline.console.progress import progress
        from pipeline.local.psql import psql as run

        code = run(ROOT, env or None, after_dashes(sys.argv), tell=progress().note)
    raise SystemExit(code)


@verb()
def doctor(_: Context) -> None:
    with reported():
        from pipeline.console.text import show_findings
        from pipeline.local.doctor import doctor as run

        show_findings(run(ROOT))


# -- CI and platform engineers -----------------------------------------------------------------------------------------


@verb(help={"env": ENV, "json": JSON, "wait": WAIT, "uncommitted": UNCOMMITTED})
def deploy(_: Context, env: str = "", json: bool = False, wait: str = "", uncommitted: bool = False) -> None:
    with reported(as_json=json):
        from pipeline.console.asking import type_name
        from pipeline.console.flags import seconds
        from pipeline.console.progress import progress
        from pipeline.deploy.entry import deploy as run

        with progress() as shown:
            environment, report = run(
                ROOT,
                env or None,
                observer=shown,
                lock_wait=seconds("wait", wait),
                ask=type_name,
                uncommitted=uncommitted,
            )
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
            environment, survey = look_at(ROOT, env or None, observer=shown, log_in=True)
        if json:
            print_document(status_document(environment.name, survey))
        else:
            show_status(survey)
        survey.raise_faults()


@verb(
    help={
        "env": ENV,
        "through": "the id or number of the last migration whose effect the database has already",
        "uncommitted": UNCOMMITTED,
    }
)
def baseline(_: Context, through: str = "", env: str = "", uncommitted: bool = False) -> None:
    with reported():
        from pipeline.adopt.entry import adopt
        from pipeline.console.flags import required
        from pipeline.console.progress import progress
        from pipeline.console.text import show_adoption

        with progress() as shown:
            adoption = adopt(
                ROOT, env or None, required("through", through, "0003"), observer=shown, uncommitted=uncommitted
            )
        show_adoption(adoption)


@verb(help={"env": ENV, "json": JSON})
def diff(_: Context, env: str = "", json: bool = False) -> None:
    with reported():
        from pipeline.console.generation import comparison_document, refuse_drift, show_comparison
        from pipeline.console.progress import progress
        from pipeline.generate.entry import diff as run

        with progress() as shown:
            environment, comparison = run(ROOT, env or None, observer=shown)
        if json:
            from pipeline.console.documents import print_document

            print_document(comparison_document(environment.name, comparison))
        else:
            show_comparison(comparison)
        refuse_drift(comparison)


@verb(help={"env": "the stack whose project is looked at (prod)", "json": JSON})
def branches(_: Context, env: str = "prod", json: bool = False) -> None:
    with reported(as_json=json):
        from pipeline.console.branches import show_branches
        from pipeline.environments.branches import survey_of

        survey = survey_of(ROOT, env)
        if json:
            from pipeline.console.documents import print_document

            print_document(survey.as_document())
        else:
            show_branches(survey)


@verb(help={"env": LOCAL_ENV, "for": "the service: server or ai-service"})
def env(_: Context, env: str = "local", for_: str = "") -> None:
    with reported():
        from pipeline.console.flags import required
        from pipeline.console.progress import progress
        from pipeline.console.text import say
        from pipeline.environments.services import env_lines

        for line in env_lines(ROOT, env, required("for", for_, "server"), tell=progress().note):
            say(line)


# -- this checkout -----------------------------------------------------------------------------------------------------


@verb(
    help={
        "base": "a branch or commit: what is on it must not be edited or removed, and is not linted again",
        "everything": "lint every file, those on the base too",
        "fix": "write what stops writers anew, in files that do not, where the generator knows how",
        "json": JSON,
        "github": "print annotations for GitHub",
    }
)
def check(
    _: Context, base: str = "", everything: bool = False, fix: bool = False, json: bool = False, github: bool = False
) -> None:
    with reported():
        from pipeline.check.entry import check_here, fix_here
        from pipeline.console.asking import type_name
        from pipeline.console.checking import refuse_findings, show_checked, show_fixed
        from pipeline.console.progress import progress

        with progress() as shown:
            run = fix_here if fix else check_here
            checked = run(ROOT, base=base or None, lint_everything=everything, observer=shown, ask=type_name)
            if isinstance(checked, tuple):
                fixed, checked = checked
                show_fixed(fixed, shown)
        show_checked(checked, "json" if json else "github" if github else "text")
        refuse_findings(checked)


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


@verb(
    help={
        "cases": "which, with commas: 1,10,100,1000,nothing,one-on-1000; left out, all of them",
        "repeat": "how often each tool runs (5), unless it takes long",
        "json": "print one JSON document with every single run",
    }
)
def bench(_: Context, cases: str = "", repeat: int = 5, json: bool = False) -> None:
    with reported(as_json=json):
        from benchmarks.bench import Limits, measure
        from benchmarks.table import show
        from pipeline.console.progress import Progress

        names = [name for name in cases.split(",") if name]
        show(measure(names, limits=Limits(repeat=repeat), tell=Progress().say), as_json=json)
