"""What `check` prints: its findings for people, programs or GitHub."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from pipeline.console.text import counted, say
from pipeline.errors import InvalidPlan
from pipeline.lint.reporting import as_annotations, as_text

if TYPE_CHECKING:
    from pipeline.check.checking import Checked


def show_checked(checked: Checked, form: Literal["text", "json", "github"]) -> None:
    """One report on standard output."""
    if form == "json":
        document = {
            "verb": "check",
            "migrations": checked.migrations,
            "linted": checked.linted,
            "findings": [asdict(finding) for finding in checked.findings],
        }
        say(json.dumps(document, indent=2))
        return
    if checked.findings:
        say(as_annotations(checked.findings) if form == "github" else as_text(checked.findings))
    if form == "text" or not checked.findings:
        say(f"{counted(checked.migrations)}, {checked.linted} linted: {_found(checked)}")


def refuse_findings(checked: Checked) -> None:
    """Raise InvalidPlan where something was found."""
    if checked.findings:
        raise InvalidPlan(_found(checked), remedy="Each says what to do about it.")


def _found(checked: Checked) -> str:
    return counted(len(checked.findings), "finding")
