"""`up`, `down`, `reset` and `seed`: the local database as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import verb

if TYPE_CHECKING:
    from pathlib import Path


@verb("local-only", "developers", flags={"yes": "do not ask"})
def reset(root: Path, yes: bool = False) -> None:
    """Drop the local database and build it again."""
    from pipeline.console.asking import confirm, type_name
    from pipeline.console.progress import progress
    from pipeline.console.text import show_report
    from pipeline.local import reset as resetting

    with progress() as shown:
        _environment, report = resetting.reset(
            root, confirm=(lambda _: True) if yes else confirm, observer=shown, ask=type_name
        )
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
    from pipeline.console.asking import type_name
    from pipeline.console.progress import progress
    from pipeline.console.text import say
    from pipeline.local.seeding import seed_here

    tell = progress().note
    made = seed_here(root, threads=threads, messages=messages, number=seed, tell=tell, ask=type_name)
    say(f"{made.people} people, {made.threads} threads, {made.messages} messages, {made.consents} consents")


@verb("local-only", "developers")
def up(root: Path) -> None:
    """Start the local database."""
    from pipeline.console.progress import progress
    from pipeline.console.text import say
    from pipeline.local import servers

    environment = servers.up(root, tell=progress().note)
    say(f"{environment.source}: DATABASE_URL={environment.url.masked()}")


@verb("local-only", "developers")
def down(root: Path) -> None:
    """Stop the local database; its data stays."""
    from pipeline.console.progress import progress
    from pipeline.console.text import say
    from pipeline.local import servers

    for stopped in servers.down(root, tell=progress().note) or ("nothing that runs",):
        say(f"stopped: {stopped}")
