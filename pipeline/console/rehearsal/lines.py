"""A rehearsal as lines on standard output: the verdict first, then what each statement did, and what else is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.console.rehearsal import (
    accepted_texts,
    breaks,
    counted_rows,
    crash_text,
    deployed_text,
    failing_text,
    failures,
    not_measured_texts,
    size,
    span,
    verdict_line,
)
from pipeline.console.rehearsal.effects import backfill_text, effects_of
from pipeline.console.rehearsal.troubles import compatibility_text, trouble_text
from pipeline.console.terminal import one_line
from pipeline.console.text import say, say_wrapped
from pipeline.rehearsal.result import Result

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.console.terminal import Style
    from pipeline.rehearsal.result import Rehearsal
    from pipeline.rehearsal.values import FileMeasurement, StatementMeasurement

_STYLES: dict[Result, Style] = {Result.PASSED: "right", Result.BROKEN: "wrong", Result.NOT_MEASURED: "due"}
_BEFORE_EFFECTS = 26  # columns: of the line, of what it took, and of its WAL


def show_rehearsal(found: Rehearsal) -> None:
    """All of it; the first line is the verdict."""
    say(one_line(verdict_line(found)), _STYLES[found.result])
    origin = found.origin
    took = span((found.ended - found.began).total_seconds() * 1000)
    _tell(
        f"{origin.environment}: branch {origin.branch_name} ({origin.branch_id}) of project {origin.project_id}, "
        f"at {origin.lsn} of {origin.at:%Y-%m-%d %H:%M:%S} UTC; commit {found.commit[:12]}; rehearsed in {took}"
    )
    _show_files(found)
    _section("what breaks", breaks(found), "wrong")
    _show_failing_rows(found)
    _section("accepted, with the reason of the file", accepted_texts(found))
    if found.compatibility:
        late = [trouble_text(each) for each in found.compatibility.troubles if not each.is_break]
        _section(f"compatibility: {compatibility_text(found.compatibility)}", [*late, *found.compatibility.notes])
    if found.crash and not found.crash.diverged:
        _section(f"crash: {crash_text(found.crash)}", ())
    _section("rows", row_texts(found))
    _section("not measured", not_measured_texts(found), "due")


def row_texts(found: Rehearsal) -> list[str]:
    """The tables whose rows are others after the deploy than before it."""
    return [
        f"{each.table}: {_rows(each.before)} before, {_rows(each.after)} after"
        for each in found.applied.rows
        if each.before != each.after
    ]


def _show_files(found: Rehearsal) -> None:
    measured = {file.id: file for file in found.measured.files} if found.measured else {}
    for file in found.pending:
        run = deployed_text(found, file.id)
        say()
        if each := measured.get(file.id):
            _show_file(each, run)
        else:
            _tell(f"{file.path}: {run}; not measured", 2, "head")


def _show_file(file: FileMeasurement, run: str) -> None:
    _tell(f"{file.path}: {span(file.milliseconds)}, and {run}; {size(file.wal_bytes)} of WAL", 2, "head")
    for statement in file.statements:
        _show_part(f"line {statement.line}", statement)
    if file.backfill is not None:
        _tell(backfill_text(file.backfill), 4)
    if file.ending and (file.ending.locks or file.ending.changed or file.ending.milliseconds >= 1):
        _show_part("end", file.ending)


def _show_part(name: str, part: StatementMeasurement) -> None:
    head = f"  {name:10} {span(part.milliseconds):>9}  "
    for number, effect in enumerate(effects_of(part) or ["nobody waits for it"]):
        _tell((head if number == 0 else "").ljust(_BEFORE_EFFECTS) + effect, _BEFORE_EFFECTS)


def _show_failing_rows(found: Rehearsal) -> None:
    """The query that finds the rows which stop the deploy. $1, $2 … stand for what the file has there."""
    for failure in failures(found):
        if failure.failing and failure.failing.query:
            say()
            _tell(f"find them ({failing_text(failure.failing)}):", 2, "head")
            for line in failure.failing.query.splitlines():
                say(f"  {line}")


def _section(title: str, told: Iterable[str], style: Style = "") -> None:
    """A title and what stands under it; without anything, the title alone where it says something by itself."""
    lines = list(told)
    if not lines and ":" not in title:
        return
    say()
    _tell(title, 2, "head")
    for line in lines:
        _tell(f"  {line}", 4, style)


def _tell(line: str, indent: int = 2, style: Style = "") -> None:
    say_wrapped(one_line(line), indent, style)


def _rows(number: int | None) -> str:
    return "no table" if number is None else counted_rows(number)
