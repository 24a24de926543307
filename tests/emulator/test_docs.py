from __future__ import annotations

import re
from pathlib import Path

from emulator.command_line import _parser
from emulator.routes.table import _ROUTES

PAGE = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()
LETTERS = {"project": "P", "branch": "B", "endpoint": "E", "role": "R", "database": "D", "operation": "O"}


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
