"""Flags whose values are more than text."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
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


def hours(name: str, value: str) -> timedelta:
    """A whole number of hours.

    Raises:
        UsageError: it is none, or not above zero.
    """
    if not (value.isascii() and value.isdecimal() and 0 < len(value) <= 6 and int(value) > 0):
        raise UsageError(f"--{name} {value}: not a whole number of hours", remedy=f"Write it as --{name} 72.")
    return timedelta(hours=int(value))


def required(name: str, value: str, example: str) -> str:
    """The value of a flag that a verb cannot do without.

    Raises:
        UsageError: it was left out.
    """
    if not value:
        raise UsageError(f"--{name} is missing", remedy=f"Write it as --{name} {example}.")
    return value


def migration(value: str) -> str:
    """A migration's id or number as it stands in file names: 4 is 0004, and a hotfix's 6a is 0006a."""
    digits, letter = (value[:-1], value[-1]) if value[-1:].isalpha() else (value, "")
    return f"{digits.zfill(4)}{letter}" if digits.isascii() and digits.isdecimal() else value


def after_dashes(argv: Sequence[str]) -> list[str]:
    """What stands behind `--`, word for word: Invoke's own remainder is one text, without the ends of words."""
    return list(argv[argv.index("--") + 1 :]) if "--" in argv else []


def not_with(name: str, is_given: bool, **others: bool) -> None:
    """Refuse flags that mean nothing beside another one, where that was given.

    Raises:
        UsageError: one of them was given.
    """
    given = [other.rstrip("_").replace("_", "-") for other, is_set in others.items() if is_set]
    if is_given and given:
        raise UsageError(f"--{given[0]} does not go with --{name}", remedy=f"Give --{name} or --{given[0]}.")


def only_with(name: str, value: str, **others: bool) -> None:
    """Refuse flags that mean something only beside another one, where that one was left out.

    Raises:
        UsageError: one of them was given.
    """
    given = [other.rstrip("_").replace("_", "-") for other, is_set in others.items() if is_set]
    if given and not value:
        raise UsageError(f"--{given[0]} goes with --{name}", remedy=f"Give --{name} too.")


def require_folders(**files: str) -> None:
    """Refuse a file whose folder is not there, before the work that it is to hold.

    Raises:
        UsageError: there is no such folder.
    """
    for name, file in files.items():
        if file and not Path(file).absolute().parent.is_dir():
            raise UsageError(
                f"--{name} {file}: there is no such folder", remedy="Nothing was changed. Make it, or name another."
            )
