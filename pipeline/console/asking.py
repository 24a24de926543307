"""Asking before something is lost."""

from __future__ import annotations

import sys

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
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def type_name(question: str) -> str | None:
    """What the person at the terminal types as an answer, or None where there is no terminal to ask at."""
    if not sys.stdin.isatty():
        return None
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()
