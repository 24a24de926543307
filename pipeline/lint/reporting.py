"""Findings as text for people, as JSON for programs, and as annotations for GitHub."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.lint.finding import Finding


def as_text(findings: Sequence[Finding]) -> str:
    """One paragraph for each finding: place, rule, message, and the help below."""
    return "\n".join(_paragraph(finding) for finding in findings)


def as_json(findings: Sequence[Finding]) -> str:
    """One document: `{"version": 1, "findings": [{path, line, column, end_line, end_column, rule, message, help}]}`."""
    return json.dumps({"version": 1, "findings": [asdict(finding) for finding in findings]}, indent=2)


def as_annotations(findings: Sequence[Finding]) -> str:
    """One workflow command for each finding, which GitHub shows beside the line in a pull request.

    The format and its escapes are those of GitHub's documentation, "Workflow commands for GitHub Actions".
    """
    return "\n".join(_annotation(finding) for finding in findings)


def _paragraph(finding: Finding) -> str:
    head = f"{finding.path}:{finding.line}:{finding.column}: {finding.rule}: {finding.message}"
    return f"{head}\n    {finding.help}" if finding.help else head


def _annotation(finding: Finding) -> str:
    position: dict[str, str | int] = {
        "file": finding.path,
        "line": finding.line,
        "endLine": finding.end_line,
        "title": finding.rule,
    }
    if finding.line == finding.end_line and finding.end_column > finding.column:
        position |= {"col": finding.column, "endColumn": finding.end_column}
    message = f"{finding.message}\n{finding.help}" if finding.help else finding.message
    return workflow_command("error", message, **position)


def workflow_command(name: str, message: str = "", **properties: str | int) -> str:
    """A command to GitHub's runner, as `::error file=migrations/0001_x.sql,line=3::message`."""
    given = ",".join(f"{key}={_escaped_property(str(value))}" for key, value in properties.items())
    return f"::{name}{given and f' {given}'}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
