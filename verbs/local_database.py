"""`up`, `down`, `push`, `rollback`, `switch`, `reset` and `seed`: the local database, for trying things out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import DRY_RUN, NOTHING_DONE, on_local, verb

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.local.reset import Reset


@verb("local-only", "developers", flags={"yes": "do not ask", "dry-run": DRY_RUN})
def reset(root: Path, yes: bool = False, dry_run: bool = False) -> None:
    """Drop the local database and build it again."""
    from pipeline.console.terminal import confirm
    from pipeline.console.text import show_report
    from pipeline.local import reset as resetting

    with on_local(root, "reset", writes=not dry_run) as checkout:
        if dry_run:
            _show_reset(resetting.dry_run(checkout))
            return
        report = resetting.reset(checkout, confirm=(lambda _: True) if yes else confirm)
    show_report(report)


@verb(
    "local-only",
    "developers",
    flags={
        "threads": "how many threads (100)",
        "messages": "how many messages in all (1000)",
        "seed": "the seed of the random numbers: the same one gives the same rows (0)",
    },
)
def seed(root: Path, threads: int = 100, messages: int = 1000, seed: int = 0) -> None:
    """Fill the local database with made-up conversations."""
    from pipeline.console.text import say
    from pipeline.local.seed import seed_here

    with on_local(root, "seed") as checkout:
        made = seed_here(checkout, threads=threads, messages=messages, number=seed)
    say(f"{made.people} people, {made.threads} threads, {made.messages} messages, {made.consents} consents")


@verb(
    "local-only",
    "developers",
    flags={"extensions": "the embedded server with PostgreSQL's own extensions, TLS and ICU; it keeps them"},
)
def up(root: Path, extensions: bool = False) -> None:
    """Start the local database."""
    from pipeline import local
    from pipeline.console.progress import progress
    from pipeline.console.text import say

    environment = local.up(root, extensions=extensions, tell=progress().note)
    say(f"{environment.source}: DATABASE_URL={environment.url.masked()}")


@verb("local-only", "developers")
def down(root: Path) -> None:
    """Stop the local database; its data stays."""
    from pipeline import local
    from pipeline.console.progress import progress
    from pipeline.console.text import say

    for stopped in local.down(root, tell=progress().note) or ("nothing that runs",):
        say(f"stopped: {stopped}")


@verb("local-only", "developers", flags={"allow-destructive": "also where rows are lost", "dry-run": DRY_RUN})
def push(root: Path, allow_destructive: bool = False, dry_run: bool = False) -> None:
    """Put schema.sql straight onto the local database, with no file."""
    from pipeline.console.text import say
    from pipeline.generate.entry import push_here

    with on_local(root, "push", writes=not dry_run) as checkout:
        pushed = push_here(checkout, allow_destructive=allow_destructive, dry_run=dry_run)
    for statement in pushed.statements:
        say(f"{statement};")
    for loss in pushed.losses:
        say(f"{'would lose' if dry_run else 'lost'} data: {loss}")
    if not pushed.statements:
        say("nothing to do: the local database is as schema.sql says")
    elif dry_run:
        say(NOTHING_DONE)


@verb(
    "local-only",
    "developers",
    flags={
        "to": "the id or number of the migration to keep as the last one; 0 rolls back all; left out, the last one is undone",
        "yes": "do not ask",
    },
    bare="to",
)
def rollback(root: Path, to: str = "", yes: bool = False) -> None:
    """Roll the local database back to a migration, or undo the last one."""
    from pipeline.console.flags import migration
    from pipeline.console.terminal import confirm
    from pipeline.console.text import counted, say, server_text
    from pipeline.deploy.rolling_back import roll_back

    with on_local(root, "rollback") as checkout:
        report = roll_back(checkout, migration(to), confirm=(lambda _: True) if yes else confirm)
    server = server_text(report.server, report.identity)
    say(f"{counted(len(report.applied))} rolled back, {report.already} left: {server}")


def _show_reset(would: Reset) -> None:
    from pipeline.console.text import counted, say

    say(f"would drop the database {would.database} on {would.server} with everything in it")
    say(f"and apply {counted(len(would.migrations))}: {', '.join(would.migrations)}")
    say(NOTHING_DONE)


@verb("local-only", "developers", flags={"yes": "do not ask"})
def switch(root: Path, yes: bool = False) -> None:
    """Undo locally what another git branch has applied, and apply this one's."""
    from pipeline.console.terminal import confirm
    from pipeline.console.text import counted, say, show_report
    from pipeline.local.switching import switch as undo_and_apply

    with on_local(root, "switch") as checkout:
        switched = undo_and_apply(checkout, confirm=(lambda _: True) if yes else confirm)
    for old, new in switched.renamed:
        say(f"in the local history, {old} is {new} now")
    if switched.undone:
        say(f"{counted(len(switched.undone))} undone: {', '.join(switched.undone)}")
    show_report(switched.report)
