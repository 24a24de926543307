"""`pulumi up`: reads the stack's settings, makes its database, exports what deploys and services need."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, NoReturn

import pulumi
from pulumi.runtime import config as runtime_config

from infra import recall, require_key
from infra.adoption import ExistingBranch, find_existing
from infra.neon_database import NeonDatabase, ParentBranch
from infra.settings import BranchSettings, load
from pipeline.errors import PipelineError
from services import NAME

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def main(remember: Callable[[str], recall.Recalled] = recall.recall) -> None:
    """Run the program for the selected stack. `remember` reads what the state of a stack, by its full name, has."""
    stack = pulumi.get_stack()
    settings = load(stack, _configuration())
    parent, there = None, ExistingBranch()
    if isinstance(settings, BranchSettings):
        there = _existing_branch(stack, settings, remember)
        parent = _parent(settings)
    database = NeonDatabase(NAME, settings, parent=parent, existing=there)
    for name, value in database.outputs().items():
        pulumi.export(name, value)


def _configuration() -> dict[str, str]:
    """Return the stack's settings without their namespace. pulumi.Config reads one at a time and cannot list them."""
    prefix = f"{pulumi.get_project()}:"
    given = runtime_config.CONFIG.get()
    return {key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)}


def _parent(settings: BranchSettings) -> ParentBranch:
    if settings.parent_stack is None:
        ids = (settings.project_id or "", settings.parent_branch_id or "")
        return ParentBranch(*(pulumi.Output.from_input(text) for text in ids))
    reference = pulumi.StackReference(_full_name(settings.parent_stack))
    return ParentBranch(reference.get_output("project_id"), reference.get_output("branch_id"))


def _check_key() -> None:
    """Stop before anything is planned when Neon would take no call of this run."""
    try:
        require_key()
    except PipelineError as error:
        raise pulumi.RunError(str(error)) from error


def _existing_branch(
    stack: str, settings: BranchSettings, remember: Callable[[str], recall.Recalled]
) -> ExistingBranch:
    def owner() -> str:
        return recall.stack_output(_full_name(settings.parent_stack), "project_id") if settings.parent_stack else ""

    full_name = _full_name(stack)
    return find_existing(stack, settings, remember(full_name), owner, full_name=full_name)


def _full_name(stack: str) -> str:
    """ORGANIZATION/PROJECT/STACK for a stack that may be named by its last parts only."""
    parts = stack.split("/")
    around = (pulumi.get_organization(), pulumi.get_project())
    return "/".join([*around[: 3 - len(parts)], *parts])


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    """End without a traceback: the engine interrupts the program when a step failed, and has told the person why.

    32 is the language host's code for "an error was shown already" (pulumi-language-python-exec).
    """
    os._exit(32)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, _stop)
    _check_key()
    main()
