"""What every committed stack has to be, whoever changes its file. Another `Pulumi.NAME.yaml` is looked at without further ado.

To allow another region or a larger compute, change the table here: that is a line of a pull request which somebody reads.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from chatdb.url import DatabaseURL
from tests.infra.program import BRANCH, COMPUTE, PROJECT, Run, run

ROOT = Path(__file__).resolve().parents[2]
STACKS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))

REGIONS = {"aws-us-east-1", "aws-us-east-2", "aws-us-west-2", "aws-eu-central-1", "aws-eu-west-2"}
LARGEST_CU = {"project": 4.0, "branch": 2.0}
LONGEST_IDLE_SECONDS = 3600  # a compute that never stops is paid for at night, too


@cache
def _settings(stack: str) -> dict[str, str]:
    content = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())
    return {name.removeprefix("chat-database:"): value for name, value in content["config"].items()}


@cache
def _run(stack: str) -> Run:
    return run(stack, _settings(stack))


def test_there_are_stacks_to_look_at() -> None:
    assert {"dev", "prod"} <= set(STACKS)


@pytest.mark.parametrize("stack", STACKS)
def test_a_project_cannot_be_destroyed_or_replaced_by_a_run(stack: str) -> None:
    for project in _run(stack).all(PROJECT):
        assert project.request.protect
        assert project.request.retainOnDelete
    assert bool(_run(stack).all(PROJECT)) == (_settings(stack)["owns"] == "project")


@pytest.mark.parametrize("stack", STACKS)
def test_an_output_with_a_password_is_a_secret(stack: str) -> None:
    made = _run(stack)
    clear = {name: str(value) for name, value in made.outputs.items() if name not in made.secrets}
    with_password = {DatabaseURL.parse(str(made.outputs[name])).password for name in made.secrets}
    assert all(with_password)
    assert [name for name, text in clear.items() if "@" in text or any(str(p) in text for p in with_password)] == []


@pytest.mark.parametrize("stack", STACKS)
def test_the_region_is_an_allowed_one(stack: str) -> None:
    assert {project.inputs["regionId"] for project in _run(stack).all(PROJECT)} <= REGIONS


@pytest.mark.parametrize("stack", STACKS)
def test_the_compute_is_of_an_allowed_size_and_stops_when_it_is_idle(stack: str) -> None:
    size: dict[str, Any] = _run(stack).one(COMPUTE).inputs
    assert size["max_cu"] <= LARGEST_CU[_settings(stack)["owns"]]
    assert 0 <= size["suspend_timeout_seconds"] <= LONGEST_IDLE_SECONDS


@pytest.mark.parametrize("stack", STACKS)
def test_what_is_protected_on_neon_is_protected_in_pulumi(stack: str) -> None:
    for branch in _run(stack).all(BRANCH):
        assert branch.request.protect == (branch.inputs["protected"] == "yes")
