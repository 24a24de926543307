"""Flags whose values are more than text."""

from __future__ import annotations

from pipeline.errors import UsageError


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
