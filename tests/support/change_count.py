"""Prints how many kinds of change to schema.sql converged, and which ended as drafts or were refused.

The tests tell it by `record_property`, which also comes through from the workers of pytest-xdist.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table at the end of a run that had such tests in it."""
    told: dict[str, tuple[str, str]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            properties = dict(getattr(report, "user_properties", ()))
            if getattr(report, "when", "") == "call" and "change" in properties:
                told[properties["change"]] = properties["ending"], properties.get("notes", "")
    if not told:
        return
    terminalreporter.section("kinds of change")
    counted = Counter(ending for ending, _ in told.values())
    terminalreporter.write_line(", ".join(f"{count} {ending}" for ending, count in counted.items()))
    for change, (ending, notes) in told.items():
        if ending != "converged" or notes:
            terminalreporter.write_line(f"  {ending}: {change}{notes and f' ({notes})'}")
