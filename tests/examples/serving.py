"""Waiting for a server to say where it listens."""

from __future__ import annotations

import re
from typing import IO


def wait_for_line(output: IO[str] | None, pattern: str) -> str:
    """Read a process's output up to the line with the pattern; what its group matched."""
    assert output is not None
    seen = ""
    for line in output:
        seen += line
        found = re.search(pattern, line)
        if found:
            return found[1]
    raise AssertionError(f"it ended before it listened:\n{seen}")
