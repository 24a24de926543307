"""Flags whose values are more than text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def seconds(name: str, value: str) -> float | None:
    """A number of seconds, or None where the flag was left out.

    Raises:
        UsageError: it is not a number, or below zero.
    """
    if not value:
        return None
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise UsageError(f"--{name} {value}: not a number of seconds", remedy=f"Write it as --{name} 60.")
    return number


def required(name: str, value: str, example: str) -> str:
    """The value of a flag that a verb cannot do without.

    Raises:
        UsageError: it was left out.
    """
    if not value:
        raise UsageError(f"--{name} is missing", remedy=f"Write it as --{name} {example}.")
    return value


def after_dashes(argv: Sequence[str]) -> list[str]:
    """What stands behind `--`, word for word: Invoke's own remainder is one text, without the ends of words."""
    return list(argv[argv.index("--") + 1 :]) if "--" in argv else []


def behind_dashes() -> list[str]:
    """The arguments behind `--`, each as it was typed; Invoke's own `remainder` joins them and loses their quotes."""
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
