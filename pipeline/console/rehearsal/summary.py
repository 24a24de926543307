"""A rehearsal as Markdown, for a comment on a pull request and for a job's summary: at most 40 lines for five files.

As in a plan, where the server is does not stand here, and what others named stands in code alone. The page has the rest.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.console.markdown import block, cut, mark
from pipeline.console.rehearsal import (
    accepted_texts,
    both,
    breaks,
    counted_rows,
    deployed_text,
    failing_text,
    failures,
    not_measured_texts,
    reason,
    span,
)
from pipeline.console.rehearsal.effects import backfill_text
from pipeline.console.rehearsal.troubles import compatibility_text
from pipeline.console.rehearsal.waiting import shut_in
from pipeline.console.terminal import one_line
from pipeline.console.text import counted
from pipeline.rehearsal.result import Result

if TYPE_CHECKING:
    from pipeline.rehearsal.result import Rehearsal
    from pipeline.rehearsal.values import FileMeasurement

_MOST_TOLD, _MOST_FILES, _LONGEST_QUERY = 10, 30, 5  # lines
_SIGNS = {Result.PASSED: "✅", Result.BROKEN: "❌", Result.NOT_MEASURED: "⚠️"}


def rehearsal_summary(found: Rehearsal) -> str:
    """The verdict, what is against it, a line for each file, and where a query finds what stops the deploy."""
    name = found.origin.environment
    sign = _SIGNS[found.result]
    lines = [mark("rehearse", name), f"### {sign} Rehearsal on {code(name)}: {found.result.value}", ""]
    lines += [*block("\n".join(_told(found))), ""]
    if found.pending:
        lines += [
            "| migration | took | who waits longest | written anew | rows changed |",
            "| --- | --- | --- | --- | --- |",
        ]
        measured = {file.id: file for file in found.measured.files} if found.measured else {}
        shown = found.pending[:_MOST_FILES]
        lines += [_row(found, each.id, measured.get(each.id)) for each in shown]
        lines += [f"| and {len(found.pending) - len(shown)} more | | | | |"] if len(shown) < len(found.pending) else []
        lines += [""]
    lines += _query(found)
    if found.compatibility:
        lines += [f"{compatibility_text(found.compatibility).capitalize()}.", ""]
    took = span((found.ended - found.began).total_seconds() * 1000)
    lines.append(
        f"On copies of {code(found.origin.branch_name)} at {code(found.origin.lsn)}, {found.origin.at:%Y-%m-%d %H:%M} UTC; "
        f"commit {code(found.commit[:12])}; it took {took}."
    )
    return cut("\n".join(lines)) + "\n"


def code(text: str) -> str:
    """A text as a span of code, which does nothing whatever stands in it: also in a table, and between other spans."""
    shown = one_line(text).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    room = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{room}{shown}{room}{fence}" if shown.strip() else ""


def _told(found: Rehearsal) -> list[str]:
    """Everything that is against it, and what is accepted; as much as there is room for."""
    told = [f"breaks: {each}" for each in breaks(found)]
    told += [f"not measured: {each}" for each in not_measured_texts(found)]
    if found.result is Result.PASSED:
        told.append(reason(found))
    told += [f"accepted: {each}" for each in accepted_texts(found)]
    measured = found.measured.files if found.measured else ()
    told += [f"{file.id}: {backfill_text(file.backfill)}" for file in measured if file.backfill is not None]
    more = len(told) - _MOST_TOLD
    return [one_line(each) for each in told[:_MOST_TOLD]] + ([f"and {more} more, in the report"] if more > 0 else [])


def _row(found: Rehearsal, id_: str, file: FileMeasurement | None) -> str:
    if file is None:
        return f"| {code(id_)} | {deployed_text(found, id_)} | not measured | | |"
    return f"| {code(id_)} | {span(file.milliseconds)} | {_waits(file)} | {_rewritten(file)} | {_changed(file)} |"


def _waits(file: FileMeasurement) -> str:
    """The table that is shut for longest, and how many others are."""
    shuts = sorted(shut_in(file), key=lambda shut: -shut.milliseconds)
    if not shuts:
        return "nobody"
    worst = shuts[0]
    as_long = [each.what for each in shuts if each.table == worst.table and each.milliseconds == worst.milliseconds]
    others = len({each.table for each in shuts}) - 1
    more = f", and {counted(others, 'other table')}" if others else ""
    accepted = ", accepted" if file.accepted else ""
    return f"{both(as_long)} of {code(worst.table)}: {span(worst.milliseconds)}{accepted}{more}"


def _rewritten(file: FileMeasurement) -> str:
    found = [each for part in file.parts for each in part.rewrote if each.rows and not each.is_new]
    return ", ".join(f"{code(each.relation)}: {counted_rows(each.rows)}" for each in found[:2]) + (
        f", and {len(found) - 2} more" if len(found) > 2 else ""
    )


def _changed(file: FileMeasurement) -> str:
    changed = [each for part in file.parts for each in part.changed]
    sums = {what: sum(getattr(each, what) for each in changed) for what in ("inserted", "updated", "deleted")}
    return ", ".join(f"{number:,} {what}" for what, number in sums.items() if number)


def _query(found: Rehearsal) -> list[str]:
    """The query that finds the rows which stop the deploy, folded."""
    for failing in (each.failing for each in failures(found) if each.failing):
        if failing.query and failing.query.count("\n") < _LONGEST_QUERY:
            return [
                "<details><summary>The query that finds the rows</summary>",
                "",
                *block(f"-- {one_line(failing_text(failing))}\n{failing.query}", "sql"),
                "",
                "</details>",
                "",
            ]
    return []
