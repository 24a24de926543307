"""PostgreSQL's major version, which is written once: production's, in Pulumi.prod.yaml."""

from __future__ import annotations

import os
import re
from pathlib import Path

MAJORS = (16, 18)
"""Those of which there are programs to run here (locks/embedded.lock)."""

VARIABLE = "POSTGRES_MAJOR"
"""The variable that has local servers be of another version than production's, to try one."""

_ROOT = Path(__file__).resolve().parents[1]
_SETTING = re.compile(r"""^[ \t]*[\w-]+:pgVersion:[ \t]*["']?([0-9]{2})["']?[ \t]*(?:#.*)?$""", re.MULTILINE)


def production_major(root: Path = _ROOT) -> int | None:
    """Give the major version that the stack `prod` asks Neon for, or None where its file does not say."""
    try:
        found = _SETTING.search((root / "Pulumi.prod.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return int(found[1]) if found else None


def wanted_major(root: Path = _ROOT) -> int:
    """Give the major version of local servers: what POSTGRES_MAJOR says, else production's, else the first of MAJORS.

    Raises:
        ValueError: POSTGRES_MAJOR is no version of two digits.
    """
    asked = os.environ.get(VARIABLE, "").strip()
    if asked:
        if not re.fullmatch("[0-9]{2}", asked):
            raise ValueError(f"{VARIABLE} is {asked!r}, and not a major version such as {MAJORS[-1]}")
        return int(asked)
    return production_major(root) or MAJORS[0]


def nearest_major(wanted: int) -> int:
    """Give the version that is run in place of `wanted`: itself, else the next older one that there is, else the oldest."""
    return max((each for each in MAJORS if each <= wanted), default=MAJORS[0])
