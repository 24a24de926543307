"""What a job of GitHub Actions shows of a run: annotations at files, and groups that fold."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.console.terminal import on_github, one_line, write_out
from pipeline.errors import InvalidPlan
from pipeline.lint.reporting import workflow_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.errors import PipelineError

_PLACE = re.compile(r"(?P<file>.+?)(?::(?P<line>[0-9]+))?\Z")


def annotated(error: PipelineError) -> str:
    """A command for the error, or for each of its faults, at the file and line where that is known."""
    faults = error.faults if isinstance(error, InvalidPlan) else ()
    return "".join(f"{_annotation(each)}\n" for each in faults or (error,))


@contextmanager
def group(title: str) -> Iterator[None]:
    """Fold what is written to standard output meanwhile under the title; elsewhere than on GitHub nothing is done."""
    if not on_github():
        yield
        return
    write_out(workflow_command("group", one_line(title)) + "\n", commands=True)
    try:
        yield
    finally:
        write_out(workflow_command("endgroup") + "\n", commands=True)


def _annotation(error: PipelineError) -> str:
    found = _PLACE.match(error.where)
    place = {name: text for name, text in found.groupdict().items() if text} if found else {}
    message = f"{error.message}\n{error.remedy}" if error.remedy else error.message
    return workflow_command("error", message, **place, title=type(error).__name__)
