"""A rehearsal in words: what the lines, the Markdown and the page say alike. Names and numbers, and never a value.

Sentences have no full stop: who shows them ends them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.console.rehearsal.troubles import trouble_text
from pipeline.console.rehearsal.waiting import longest_wait
from pipeline.console.text import counted, duration_text
from pipeline.rehearsal.budgets import BLOCKED
from pipeline.rehearsal.result import Result
from pipeline.rehearsal.values import READS, WRITES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.rehearsal.budgets import Excess
    from pipeline.rehearsal.result import Crash, Rehearsal
    from pipeline.rehearsal.values import FailingRows, Failure

# What rows do that are against a rule, as in "12 rows of public."User" …".
_AGAINST = {
    "not null": "have no value",
    "unique": "are not the only ones of their kind",
    "foreign key": "refer to a row that is not there",
    "check": "are against the check",
    "type": "cannot be cast",
}


def verdict_line(found: Rehearsal) -> str:
    """How the rehearsal ended, and why, in one clause."""
    return f"{found.result.value}: {reason(found)}"


def reason(found: Rehearsal) -> str:
    """Why it ended so: the worst of it, and how much more there is."""
    if found.result is Result.PASSED:
        return _why_it_passed(found)
    told = breaks(found) if found.result is Result.BROKEN else not_measured_texts(found)
    more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
    return f"{told[0]}{more}"


def breaks(found: Rehearsal) -> list[str]:
    """Everything that is proven to be wrong, a sentence each: what stops the deploy first."""
    told = [failure_text(each) for each in failures(found)]
    if found.verdict:
        told += [excess_text(each) for each in found.verdict.breaks]
    if found.compatibility:
        told += [trouble_text(each) for each in found.compatibility.breaks]
    if found.crash and found.crash.diverged:
        told.append(crash_text(found.crash))
    return told


def not_measured_texts(found: Rehearsal) -> list[str]:
    """What of what was asked for is not known, and why; that of the services' statements as well."""
    told = [*found.not_measured, *(found.compatibility.not_measured if found.compatibility else ())]
    return list(dict.fromkeys(each.rstrip(".") for each in told))


def failures(found: Rehearsal) -> list[Failure]:
    """What stopped the deploy or the measured run: once where both stopped at the same place."""
    both = [found.measured.failure if found.measured else None, found.applied.failure]
    unique: dict[tuple[str, int | None, str], Failure] = {}
    for each in both:
        if each is not None:
            unique.setdefault((each.id, each.line, each.sqlstate), each)
    return list(unique.values())


def failure_text(failure: Failure) -> str:
    """Where the deploy stops, why, and at how many rows."""
    place = f"{failure.path}:{failure.line}" if failure.line else f"the end of {failure.path}"
    why = f"{failure.condition or 'an error'} ({failure.sqlstate})"
    rows = f": {failing_text(failure.failing)}" if failure.failing else ""
    return f"{place} stops the deploy with {why}{rows}"


def failing_text(failing: FailingRows) -> str:
    """How many rows are against what is asked of them."""
    many = "rows" if failing.rows is None else counted_rows(failing.rows)
    named = ", ".join(
        f"{noun} {name}" for noun, name in (("column", failing.column), ("constraint", failing.constraint)) if name
    )
    after = ", once the statement has run without the rule" if failing.after else ""
    return (
        f"{many} of {failing.table} {_AGAINST.get(failing.rule, failing.rule)}{f' ({named})' if named else ''}{after}"
    )


def excess_text(excess: Excess) -> str:
    """A table over its budget: what is not accepted where that breaks it, else all of it."""
    cost = excess.unaccepted if excess.is_break else excess.cost
    if excess.what == BLOCKED:
        waits = both(excess.blocks) or "others"
        return f"{waits} of {excess.table} wait for {span(cost)}, and the budget is {span(excess.limit)}"
    return f"{counted_rows(round(cost))} of {excess.table} are written anew, and the budget is {round(excess.limit):,}"


def accepted_texts(found: Rehearsal) -> list[str]:
    """What files accept of what is over a budget, with the reason that each of them gives."""
    told = []
    for excess in found.verdict.excesses if found.verdict else ():
        for share in excess.shares:
            if share.accepted:
                cost = span(share.cost) if excess.what == BLOCKED else f"{counted_rows(round(share.cost))} written anew"
                waits = f"{both(share.blocks)} wait for " if excess.what == BLOCKED else ""
                told.append(f"{share.id}: {excess.table}, {waits}{cost}: {share.accepted}")
    return told


def crash_text(crash: Crash) -> str:
    """What came of killing the deploy, and running it again."""
    points = counted(crash.points, "point")
    if not crash.diverged:
        return f"killed at {points} and run again, the deploy ended with the same schema"
    where = ", ".join(crash.diverged)
    return f"killed at {len(crash.diverged)} of {points} and run again, the deploy ended otherwise: {where}"


def deployed_text(found: Rehearsal, id_: str) -> str:
    """What became of a file in the deploy itself (run A)."""
    deployed = dict(found.applied.milliseconds)
    if id_ not in deployed:
        return "did not come to its end"
    took = deployed[id_]
    return "batch by batch in the deploy itself" if took is None else f"{duration_text(took)} in the deploy itself"


def both(blocks: Iterable[str]) -> str:
    """What waits: reads, writes, or reads and writes."""
    return " and ".join(each for each in (READS, WRITES) if each in set(blocks))


def span(milliseconds: float) -> str:
    """A duration, with a decimal where it is that short."""
    return f"{milliseconds:.1f} ms" if milliseconds < 9.95 else duration_text(round(milliseconds))


def size(number: int) -> str:
    """Bytes, in the unit that gives them up to three digits or so."""
    share = float(number)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if share < 1024:
            return (
                f"{number} bytes" if unit == "bytes" else f"{share:.1f} {unit}" if share < 10 else f"{share:.0f} {unit}"
            )
        share /= 1024
    return f"{share:,.1f} TiB"


def counted_rows(number: int) -> str:
    """So many rows, in groups of three digits."""
    return f"{number:,} {'row' if number == 1 else 'rows'}"


def _why_it_passed(found: Rehearsal) -> str:
    if not found.pending:
        return "nothing is pending"
    apply = f"{counted(len(found.pending))} {'applies' if len(found.pending) == 1 else 'apply'}"
    over: Sequence[Excess] = found.verdict.accepted if found.verdict else ()
    if over:
        return f"{apply}; {excess_text(over[0])}, which is accepted"
    longest = longest_wait(found.measured.files) if found.measured else 0.0
    return (
        f"{apply}, and {f'no table keeps others waiting for more than {span(longest)}' if longest else 'nobody waits'}"
    )
