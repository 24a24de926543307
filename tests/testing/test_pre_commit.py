"""Before a commit runs what runs before the tests, word for word."""

from __future__ import annotations

from pathlib import Path

import yaml  # type: ignore[import-untyped]

from pipeline.testing import CHECKS

ROOT = Path(__file__).parents[2]


def test_the_hooks_are_the_checks_that_come_before_the_tests() -> None:
    configuration = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repository in configuration["repos"] for hook in repository["hooks"]]
    assert [(hook["id"], hook["entry"]) for hook in hooks] == [
        (check.what, " ".join((f".venv/bin/{check.command[0]}", *check.command[1:])))
        for check in CHECKS
        if check.what != "tests"
    ]
    assert all(hook["always_run"] and not hook["pass_filenames"] for hook in hooks)
