"""What every committed stack has to be, whoever changes its file. Another `Pulumi.NAME.yaml` is looked at without further ado.

What is allowed stands in the policy pack (infra/policies), which Pulumi asks in a preview; here it is asked without Pulumi.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml  # type: ignore[import-untyped]

import services
from dbclient.url import DatabaseURL
from infra.policies.__main__ import BRANCH, POLICIES, PROJECT
from tests.infra.program import Run, run

ROOT = Path(__file__).resolve().parents[2]
REAL = services.read_product(ROOT / "product.toml")
STACKS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))


@cache
def _settings(stack: str) -> dict[str, str]:
    content = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())
    return {name.removeprefix(f"{REAL.project}:"): value for name, value in content["config"].items()}


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


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("stack", STACKS)
def test_a_committed_stack_keeps_the_policies(stack: str, policy: str) -> None:
    assert violations(policy, _run(stack)) == []


@pytest.mark.parametrize(
    ("stack", "policy", "settings", "violation"),
    [
        ("prod", "region", {"regionId": "aws-ap-southeast-1"}, "regionId is aws-ap-southeast-1; allowed are"),
        ("prod", "size", {"maxCu": "8"}, "maxCu is 8; of a project at most 4 are allowed"),
        ("dev", "size", {"maxCu": "4"}, "maxCu is 4; of a branch at most 2 are allowed"),
        ("dev", "size", {"suspendTimeoutSeconds": "-1"}, "suspendTimeoutSeconds has to be 0"),
    ],
)
def test_a_stack_that_breaks_one_is_told(stack: str, policy: str, settings: dict[str, str], violation: str) -> None:
    [said] = violations(policy, run(stack, _settings(stack) | settings))
    assert violation in said


@pytest.mark.parametrize(
    ("kind", "props", "protect"), [(PROJECT, {}, False), (BRANCH, {"protected": "yes"}, False), (BRANCH, {}, True)]
)
def test_what_is_not_protected_where_it_has_to_be_is_told(kind: str, props: dict[str, str], protect: bool) -> None:
    args = SimpleNamespace(resource_type=kind, props=props, opts=SimpleNamespace(protect=protect))
    assert len(list(POLICIES["production-stays"][1](args))) == 1


def violations(policy: str, made: Run) -> list[str]:
    """What a policy has against the resources that a run registered."""
    return [
        said
        for kind, item in made.resources
        for said in POLICIES[policy][1](
            SimpleNamespace(
                resource_type=kind,
                props=item.inputs,
                opts=SimpleNamespace(protect=bool(getattr(item.request, "protect", False))),
            )
        )
    ]
