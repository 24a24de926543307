"""The page of `rehearse`: the verdict, a timeline of locks, what each statement did, and who can no longer ask what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.console.pages import Cell, code, page, table, text, wide
from pipeline.console.pages.lock_timeline import legend, timeline_svg
from pipeline.console.rehearsal import (
    accepted_texts,
    breaks,
    crash_text,
    deployed_text,
    failing_text,
    failures,
    not_measured_texts,
    reason,
    size,
    span,
)
from pipeline.console.rehearsal.effects import backfill_text, effects_of
from pipeline.console.rehearsal.troubles import KINDS, compatibility_text, why_text
from pipeline.console.rehearsal.waiting import shut_in, shutting
from pipeline.console.text import counted, duration_text
from pipeline.rehearsal.result import Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.rehearsal.result import Compatibility, Rehearsal
    from pipeline.rehearsal.values import FileMeasurement, StatementMeasurement

_BADGES = {Result.PASSED: "good", Result.BROKEN: "slow", Result.NOT_MEASURED: "due"}


def rehearsal_page(found: Rehearsal) -> str:
    """A page about a rehearsal."""
    title = f"Rehearsal on {found.origin.environment}: {found.result.value}"
    sections = {
        "What breaks": _list(breaks(found)) + _queries(found),
        "Not measured": _list(not_measured_texts(found)),
        "Who waits": _who_waits(found),
        "Accepted": _list(accepted_texts(found)),
        "Statements": _statements(found),
        "Compatibility": _compatibility(found.compatibility) if found.compatibility else "",
        "Crashes": f"<p>{text(_sentence(crash_text(found.crash)))}.</p>" if found.crash else "",
        "Rows": _rows(found),
    }
    shown = {name: body for name, body in sections.items() if body}
    links = "".join(f'<li><a href="#{_anchor(name)}">{text(name)}</a></li>' for name in shown)
    told = "".join(
        f'<section aria-labelledby="{_anchor(name)}"><h2 id="{_anchor(name)}">{text(name)}</h2>\n{body}</section>\n'
        for name, body in shown.items()
    )
    return page(
        title, f'{_head(found)}\n<nav aria-label="Sections"><ul>{links}</ul></nav>\n<main id="content">{told}</main>'
    )


def _head(found: Rehearsal) -> str:
    origin = found.origin
    facts = {
        "Copy of": f"{text(origin.branch_name)} ({code(origin.branch_id)}) of project {code(origin.project_id)}",
        "As of": f"{code(origin.lsn)}, {origin.at:%Y-%m-%d %H:%M:%S} UTC",
        "Commit": code(found.commit[:12]),
        "Pending": text(counted(len(found.pending))),
        "Took": text(duration_text(round((found.ended - found.began).total_seconds() * 1000))),
    }
    told = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    badge = f'<span class="badge {_BADGES[found.result]}">{text(found.result.value)}</span>'
    return (
        f"<header><h1>Rehearsal on {text(origin.environment)} {badge}</h1>\n"
        f'<p class="reason">{text(_sentence(reason(found)))}</p>\n<dl class="facts">{told}</dl></header>'
    )


def _who_waits(found: Rehearsal) -> str:
    files = found.measured.files if found.measured else ()
    timeline = timeline_svg(files, found.verdict)
    if not timeline:
        return "<p>Nobody waits for any table.</p>" if files else ""
    drawn = shutting(files)
    aside = [file.id for file in files if file not in drawn]
    left_out = f" Not drawn, since they keep nobody waiting: {', '.join(map(code, aside))}." if aside else ""
    heads = ("table", "what waits", "migration", "for", "from the file's begin", "")
    rows = [
        [
            Cell(code(shut.table)),
            Cell(text(shut.what)),
            Cell(code(shut.file.id)),
            Cell(text(span(shut.milliseconds)), "number"),
            Cell(text(span(shut.begin) if shut.is_exact else "not known"), "number"),
            Cell("accepted" if shut.file.accepted else ""),
        ]
        for file in drawn
        for shut in shut_in(file)
    ]
    return (
        f'<p class="aside">The deploy\'s time from left to right, file after file. A bar is the time in which reads or writes '
        f"of a table wait: from the lock to the end of the file's COMMIT. The numbers are its sums over all files.{left_out}</p>"
        f"\n<figure>{timeline}<figcaption>{legend(drawn, found.verdict)}</figcaption></figure>\n"
        f"<details><summary>The same as a table</summary>{table('Who waits', heads, rows)}</details>"
    )


def _statements(found: Rehearsal) -> str:
    measured = {file.id: file for file in found.measured.files} if found.measured else {}
    return "".join(_file(each.path, deployed_text(found, each.id), measured.get(each.id)) for each in found.pending)


def _file(path: str, run: str, measured: FileMeasurement | None) -> str:
    if measured is None:
        return f'<h3>{code(path)}</h3>\n<p class="aside">Not measured; {run}.</p>\n'
    told = f"{span(measured.milliseconds)} measured, {run}; {size(measured.wal_bytes)} of WAL"
    heads = ("line", "took", "WAL", "what it does")
    rows = [_statement(str(each.line), each) for each in measured.statements]
    if measured.ending:
        rows.append(_statement("end", measured.ending))
    backfill = "" if measured.backfill is None else f"<p>{text(_sentence(backfill_text(measured.backfill)))}.</p>\n"
    head = f'<h3>{code(path)}</h3>\n<p class="aside">{text(told)}.</p>\n{backfill}'
    return f"{head}{table(f'Statements of {path}', heads, rows)}\n"


def _statement(line: str, part: StatementMeasurement) -> list[Cell]:
    effects = "<br>".join(map(text, effects_of(part)))
    return [
        Cell(text(line), "number"),
        Cell(text(span(part.milliseconds)), "number"),
        Cell(text(size(part.wal_bytes)), "number"),
        Cell(effects or '<span class="aside">nobody waits for it</span>', "told"),
    ]


def _queries(found: Rehearsal) -> str:
    """The queries that find the rows which stop the deploy. $1, $2 … stand for what the file has there."""
    return "".join(
        f"<h3>{text(_sentence(failing_text(each.failing)))}</h3>\n"
        f"{wide('A query that finds the rows', f'<pre>{code(each.failing.query)}</pre>')}\n"
        for each in failures(found)
        if each.failing and each.failing.query
    )


def _compatibility(found: Compatibility) -> str:
    planned = [
        [Cell(text(service)), Cell(text(release)), Cell(str(number), "number"), *_counts(found, service, release)]
        for service, release, number in found.statements
    ]
    heads = ("service", "release", "planned", *KINDS.values())
    lines = [f"<p>{text(_sentence(compatibility_text(found)))}.</p>\n{table('Statements planned', heads, planned)}"]
    if found.troubles:
        heads = ("service", "release", "statement", "", "what becomes of it", "since")
        lines.append(f"<h3>In trouble</h3>\n{table('Statements in trouble', heads, _troubles(found))}")
    return "\n".join([*lines, _list(found.notes)])


def _counts(found: Compatibility, service: str, release: str) -> Iterator[Cell]:
    for kind in KINDS:
        those = [
            each for each in found.troubles if (each.trouble, each.service, each.release) == (kind, service, release)
        ]
        yield Cell(str(len(those)), "number slow" if any(each.is_break for each in those) else "number")


def _troubles(found: Compatibility) -> list[list[Cell]]:
    """The breaks first."""
    return [
        [
            Cell(text(each.service)),
            Cell(text(each.release)),
            Cell(code(each.statement)),
            Cell("break" if each.is_break else text(KINDS[each.trouble]), "slow" if each.is_break else ""),
            Cell(text(why_text(each)), "told"),
            Cell(code(each.file)),
        ]
        for each in sorted(found.troubles, key=lambda trouble: not trouble.is_break)
    ]


def _rows(found: Rehearsal) -> str:
    """Every table's rows, those that have others than before first."""
    counted_ = sorted(found.applied.rows, key=lambda each: (each.before == each.after, each.table))
    rows = [
        [
            Cell(code(each.table)),
            *(Cell("no table" if number is None else f"{number:,}", "number") for number in (each.before, each.after)),
            Cell("" if each.before == each.after else "changed"),
        ]
        for each in counted_
    ]
    return table("Rows of every table", ("table", "before", "after", ""), rows) if rows else ""


def _list(told: Iterable[str]) -> str:
    items = "".join(f"<li>{text(_sentence(each))}</li>" for each in told)
    return f"<ul>{items}</ul>\n" if items else ""


def _sentence(told: str) -> str:
    """With a capital, unless it begins with a file's name."""
    return told[:1].upper() + told[1:] if told.partition(" ")[0].isalpha() else told


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")
