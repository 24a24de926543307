"""`pull`: rows of an environment for the local database, masked on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import verb

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.pull import Pulled


@verb(
    "local-only",
    "developers",
    flags={
        "env": "the environment whose rows are read: dev, prod, or another stack; nothing is written there",
        "masked": 'keep nothing that masking.toml does not name with "keep"; production\'s rows come in no other way',
        "yes": "do not ask",
    },
    bare="env",
)
def pull(root: Path, env: str = "", masked: bool = False, yes: bool = False) -> None:
    """Replace the local database's rows by masked rows of an environment."""
    from pipeline.console.flags import required
    from pipeline.console.progress import progress
    from pipeline.console.terminal import confirm, type_name
    from pipeline.pull import open_sides
    from pipeline.pull import pull as bring

    name = required("env", env, "dev")
    with progress() as shown:
        source, target = open_sides(root, name, masked=masked, observer=shown, ask=type_name)
        pulled = bring(source, target, masked=masked, confirm=(lambda _: True) if yes else confirm)
    _show(pulled)


def _show(pulled: Pulled) -> None:
    """What came of each table, and how each of its columns was treated."""
    from pipeline.console.text import counted, say, say_wrapped

    for table, count in pulled.rows.items():
        say(f"{table}: {counted(count, 'row')}", "head")
        by_rule: dict[str, list[str]] = {}
        for (of, column), decision in pulled.rules.items():
            if of == table:
                by_rule.setdefault(decision.rule, []).append(column if decision.is_listed else f"{column}*")
        for rule, columns in sorted(by_rule.items()):
            say_wrapped(f"  {rule:10} {', '.join(columns)}", 13)
    total = counted(sum(pulled.rows.values()), "row")
    say(f"{total} of {pulled.source} in {pulled.target} (* not in masking.toml)")
