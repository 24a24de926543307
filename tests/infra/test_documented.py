"""docs/infrastructure.md says what is true: every setting, every output, and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

from infra import settings
from infra.neon_database import NeonDatabase
from services import SERVICES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "infrastructure.md").read_text()


def test_every_setting_is_in_the_page() -> None:
    keys = {"owns", *settings._COMMON, *settings._PROJECT, *settings._BRANCH}
    assert [key for key in sorted(keys) if f"`{key}`" not in PAGE] == []


def test_every_output_is_in_the_page() -> None:
    outputs = {*NeonDatabase.__annotations__, *(service.url_output for service in SERVICES)} - {"endpoint_host"}
    assert {name for name in outputs if f"`{name}`" not in PAGE} == set()


def test_every_test_that_the_page_names_exists() -> None:
    code = "\n".join(
        path.read_text() for folder in ("infra", "engine") for path in (ROOT / "tests" / folder).glob("*.py")
    )
    named = re.findall(r"`(test_\w+?)_?(?:…)?`", PAGE)
    assert len(named) > 25
    assert [name for name in named if f"def {name}" not in code] == []


def test_every_module_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(infra/\w+\.py)`", PAGE))
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_pulumi_command_that_sets_something_says_of_which_stack() -> None:
    """Without --stack it is the selected one, which is prod as often as not."""
    places = [path for folder in ("infra", "pipeline", "verbs", "emulator") for path in (ROOT / folder).rglob("*.py")]
    places += [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", *ROOT.glob("Pulumi.*yaml")]
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in places
        if ".venv" not in path.parts
        for line in path.read_text().splitlines()
        if re.search(r"pulumi (config|state|cancel)\b(?!`)(?! +(set|rm|get|unprotect|delete)? *--stack)", line)
    ]
    assert found == []
