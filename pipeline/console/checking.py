"""What `check` prints: its findings for people, programs or GitHub."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from pipeline.console.text import counted, say
from pipeline.errors import InvalidPlan
from pipeline.lint.reporting import as_annotations, as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.check.checking import Checked
    from pipeline.deploy.observer import Observer
    from pipeline.generate.fixing import Fixed


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


def show_fixed(fixed: Sequence[Fixed], observer: Observer) -> None:
    """Say which migrations were written anew, and why others were not: beside the report, so that JSON stays one document."""
    for each in fixed:
        if each.written:
            observer.note(f"{each.id} was written anew: {', '.join(each.written)}. Read the files, rollbacks too.")
        else:
            observer.note(f"{each.id} is left as it is: {each.why_not}")


def refuse_findings(checked: Checked) -> None:
    """Raise InvalidPlan where something was found."""
    if checked.findings:
        raise InvalidPlan(_found(checked), remedy="Each says what to do about it.")


def _found(checked: Checked) -> str:
    return counted(len(checked.findings), "finding")
