"""Asking before something is lost."""

from __future__ import annotations

import sys

from pipeline.console.terminal import write_error
from pipeline.errors import UsageError


def confirm(question: str) -> bool:
    """Whether the person at the terminal says yes.

    Raises:
        UsageError: there is no terminal to ask at.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            f"{question} Nobody is there to ask.", remedy="Nothing was changed. Give --yes to go on without a question."
        )
    write_error(f"{question} [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def type_name(question: str) -> str | None:
    """What the person at the terminal types as an answer, or None where there is no terminal to ask at."""
    if not sys.stdin.isatty():
        return None
    write_error(question)
    return sys.stdin.readline().strip()
