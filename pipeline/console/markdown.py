"""A plan, a comparison or a failure as Markdown: for a job's summary on GitHub, a comment, or an issue.

Where the server is does not stand in a plan or a comparison: a comment is read by more people than a log. What migrations
and servers say stands in code blocks alone, so that it is shown and does nothing.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from pipeline.console.terminal import printable
from pipeline.console.text import counted
from pipeline.errors import UsageError
from pipeline.lint.following import planned_locks
from pipeline.lint.locks import strongest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.deploy.status import DeployStatus
    from pipeline.errors import PipelineError
    from pipeline.generate.drift import Comparison
    from pipeline.lint.finding import Finding
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.sql_text import Statement

# GitHub takes comments and issues of up to 65,536 characters. Counted in bytes it fits into a variable of a job as well.
LIMIT = 65_000
_FOR_THE_REST = 5_000  # of what stands below the files


def mark(verb: str, environment: str | None) -> str:
    """The first line of a document, by which a later one of the same kind is found and replaced. It is not shown."""
    return f"<!-- db-pipeline: {verb} of {environment or 'DATABASE_URL'} -->"


def append(path: str, text: str) -> None:
    """Write to the end of a file.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123 - relative to where the person is
            file.write(text)
    except OSError as error:
        raise UsageError(
            f"--summary {path}: {error.strerror}", remedy="Nothing was changed. Name a file that can be written."
        ) from error


def plan_text(environment: str | None, found: DeployStatus, findings: Sequence[Finding]) -> str:
    """What a deploy would run: each file with its strongest lock, its SQL (folded), what lint finds, what is against it."""
    name = environment or "DATABASE_URL"
    verdict = "it would be refused" if found.plan.faults else f"{counted(len(found.plan.pending))} to apply"
    return with_plan([mark("plan", environment), f"### Plan for {name}: {verdict}", ""], found, findings)


def with_plan(head: Sequence[str], found: DeployStatus, findings: Sequence[Finding]) -> str:
    """Lines, and below them what a deploy would run."""
    lines = [*head]
    standby = ", a standby" if found.identity.in_recovery else ""
    lines += [f"PostgreSQL {found.identity.version_text}{standby}; {len(found.plan.applied)} applied already.", ""]
    pending = () if found.plan.faults else found.plan.pending  # their files may not even be read
    locks = planned_locks(pending)
    if pending:
        lines += ["| migration | strongest lock | statements | lint |", "| --- | --- | --- | --- |"]
        lines += [_row(file, locks[file.id], findings) for file in pending]
        lines += [""]
    lines += _about_faults(found)
    if findings:
        lines += [f"**Lint: {counted(len(findings), 'finding')}**", "", *block(_paragraphs(findings)), ""]
    told = [*found.warnings]
    if found.due_passwords:
        told.append(f"a deploy gives {', '.join(found.due_passwords)} LOGIN and the stack's password")
    if told:
        lines += [*block("\n".join(f"note: {each}" for each in told)), ""]
    room = LIMIT - _FOR_THE_REST - _size("\n".join(lines))
    return cut("\n".join([*lines, *_folded(pending, locks, room)])) + "\n"


def diff_text(environment: str | None, comparison: Comparison) -> str:
    """What has drifted, object by object."""
    drift = comparison.drift
    name = environment or "DATABASE_URL"
    verdict = f"{counted(len(drift), 'object')} drifted" if drift else "no drift"
    pending = f", {len(comparison.pending)} pending" if comparison.pending else ""
    lines = [mark("diff", environment), f"### {name}: {verdict}", ""]
    lines += [f"Compared with what its migrations build ({counted(comparison.applied)} applied{pending}).", ""]
    told = [
        f"{each.verdict:11}{each.kind} {each.name}\n"
        f"{'':11}  expected: {each.expected or 'none'}\n{'':11}  found:    {each.found or 'none'}"
        for each in drift
    ]
    if told:
        lines += [*block("\n".join(told)), ""]
        lines += ["Bring the change into a migration, or take it back by hand; `./inv diff` tells when they agree.", ""]
    return cut("\n".join(lines)) + "\n"


def failure_text(verb: str, environment: str | None, error: PipelineError) -> str:
    """That a verb failed, and why."""
    name = environment or "DATABASE_URL"
    return cut("\n".join([mark(verb, environment), f"### {verb} of {name} failed", "", *block(str(error)), ""])) + "\n"


def _row(file: MigrationFile, locks: Sequence[tuple[Statement, str | None]], findings: Sequence[Finding]) -> str:
    lock = strongest(each for _, each in locks) or "none"
    found = sum(finding.path == file.path for finding in findings)
    how = f", {file.forward.how}" if file.forward.how else ""
    return f"| `{file.id}` | {lock} | {len(locks)}{how} | {counted(found, 'finding') if found else 'clean'} |"


def _folded(
    files: Sequence[MigrationFile], locks: dict[str, list[tuple[Statement, str | None]]], room: int
) -> list[str]:
    """The SQL of each file with its locks, as far as there is room: of the others the log has it."""
    lines, left_out = [], 0
    for file in files:
        taken = [f"-- line {statement.line}: {lock}" for statement, lock in locks[file.id] if lock]
        text = "\n".join([*taken, file.forward.text.rstrip()])
        folded = [
            f"<details><summary>SQL of <code>{html.escape(file.path)}</code></summary>",
            "",
            *block(text, "sql"),
            "",
            "</details>",
            "",
        ]
        length = _size("\n".join([*folded, ""]))
        if length > room:
            left_out += 1
            continue
        room -= length
        lines += folded
    if left_out:
        lines += [
            f"The SQL of {counted(left_out, 'file')} is left out, since there is no room for it: the job's log has it."
        ]
    return lines


def _about_faults(found: DeployStatus) -> list[str]:
    if not found.plan.faults:
        return []
    told = "\n".join(str(fault) for fault in found.plan.faults)
    return [f"**A deploy would refuse this: {counted(len(found.plan.faults), 'fault')}**", "", *block(told), ""]


def _paragraphs(findings: Sequence[Finding]) -> str:
    from pipeline.lint.reporting import as_text

    return as_text(findings)


def block(text: str, language: str = "") -> list[str]:
    """A code block whose fence is longer than any that the text has."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return [f"{fence}{language}", printable(text), fence]


def cut(text: str) -> str:
    """The text, or as much of it as GitHub takes; what is cut off may end a code block, so one more end follows."""
    if _size(text) <= LIMIT:
        return text
    fence = max(re.findall("^`{3,}", text, re.MULTILINE), key=len, default="```")
    kept = text.encode()[: LIMIT - 200].decode(errors="ignore")
    return f"{kept}\n{fence}\n\nThe rest is left out, since there is no room for it: the job's log has it.\n"


def _size(text: str) -> int:
    return len(text.encode())
