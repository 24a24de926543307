"""The names that the states of existing stacks hold. Moving one of them breaks `pulumi destroy` of every such stack."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pulumi.dynamic
import pytest
from pulumi.dynamic.dynamic import serialize_provider

from infra.recall import _OTHERS
from tests.infra.program import COMPUTE, EXPIRY, GUARD, OWNER, REMOVAL

INFRA = Path(__file__).resolve().parents[2] / "infra"

# A name may be added. One that is here may go only when no stack is left whose state has it.
PINNED = ("branch_expiry", "branch_guard", "branch_removal", "compute", "owner_password")
TYPES = {
    "branch_expiry": "pulumi-python:dynamic/neon:BranchExpiry",
    "branch_guard": "pulumi-python:dynamic/neon:BranchGuard",
    "branch_removal": "pulumi-python:dynamic/neon:BranchRemoval",
    "compute": "pulumi-python:dynamic/neon:Compute",
    "owner_password": "pulumi-python:dynamic/neon:OwnerPassword",
}


@pytest.mark.parametrize("module", PINNED)
def test_a_state_finds_its_provider_by_the_module_and_the_class_that_it_was_made_with(module: str) -> None:
    provider = importlib.import_module(f"infra.{module}")._Provider
    assert issubclass(provider, pulumi.dynamic.ResourceProvider)
    assert (provider.__module__, provider.__qualname__) == (f"infra.{module}", "_Provider")
    stored = serialize_provider(provider())
    assert stored, "the engine's own way to store it takes it"


def test_every_provider_of_the_program_is_pinned() -> None:
    having = {
        path.stem
        for path in INFRA.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("ResourceProvider") for base in node.bases)
    }
    assert having == set(PINNED)


def test_the_types_that_a_state_names_are_those_of_the_program() -> None:
    assert set(TYPES.values()) == {COMPUTE, OWNER, REMOVAL, GUARD, EXPIRY}
    assert TYPES["branch_guard"] in _OTHERS
