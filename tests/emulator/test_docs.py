from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.__main__ import _parser
from emulator.routes import _ROUTES

if TYPE_CHECKING:
    from tests.support.neon_cli import NeonCli

PAGE = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()
LETTERS = {
    "project": "P",
    "branch": "B",
    "endpoint": "E",
    "role": "R",
    "database": "D",
    "operation": "O",
    "snapshot": "S",
}


def test_every_option_is_in_the_docs() -> None:
    verbs = _parser()._subparsers
    assert verbs is not None
    choices = verbs._group_actions[0].choices
    assert isinstance(choices, dict)
    options = {name for verb in choices.values() for action in verb._actions for name in action.option_strings}

    assert {name for name in options - {"-h", "--help"} if f"`{name}" not in PAGE and f"{name}`" not in PAGE} == set()


def test_every_route_is_in_the_docs_and_no_other() -> None:
    served = {(method, re.sub(r"\{(\w+)\}", lambda found: LETTERS[found[1]], path)) for method, path, _, _ in _ROUTES}
    told = {
        (method, path)
        for methods, path in re.findall(r"^- `([A-Z ]+) (/\S+)`$", PAGE, re.MULTILINE)
        for method in methods.split()
    }

    assert told == served


FAMILIES = ("orgs", "projects", "branches", "snapshots", "roles", "databases", "operations", "ip-allow")
ALONE = {"me", "connection-string", "psql", "api"}
CALLS = (Path(__file__).parent / "test_neon_cli.py").read_text()


def test_every_command_of_neons_command_line_is_in_the_docs_and_no_other(neon_cli: NeonCli) -> None:
    offered = ALONE | {
        f"{family} {name}"
        for family in FAMILIES
        for name in re.findall(rf"^neon {family} ([a-z-]+)", neon_cli.run(family, "--help").out, re.MULTILINE)
    }
    rows = dict(
        re.findall(r"^\| `([a-z -]+)` \| (.+) \|$", PAGE.partition("## With Neon's command line")[2], re.MULTILINE)
    )

    assert rows.keys() & {*ALONE, *(row for row in rows if row.split()[0] in FAMILIES)} == offered
    assert {row for row in offered if not rows[row].startswith("no: ") and not called(row)} == set()


def called(command: str) -> bool:
    """Whether the tests of the command line run this command."""
    words = ", ".join(f'"{word}"' for word in command.split())
    return words in CALLS
