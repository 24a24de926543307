"""What the migrations did to the services' statements: the server's answers before and after them, and the tables' rules.

A statement of the live release is compared with itself: what it could do before, it has to do after. One that only this
checkout has must work after. What the planner cannot say, because it depends on the values that are sent, the tables' rules
say (`writes`).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pipeline.rehearsal.compatibility.reading import HEAD, LIVE, TRAFFIC
from pipeline.rehearsal.compatibility.writes import Finding, refused_reads, refused_writes
from pipeline.rehearsal.measuring import condition_of
from pipeline.rehearsal.result import FINDING_ROWS, Compatibility, StatementTrouble, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.rehearsal.compatibility.planning import Answer, Planned
    from pipeline.rehearsal.compatibility.reading import Known

# A client reads the one as it reads the other, and sends for the one what the other takes.
_SAME = ({"text", "character varying"},)
_DENIED = "42501"
_WIDER = (("smallint", "integer", "bigint"), ("real", "double precision"))


def compare(before: Planned, after: Planned) -> Compatibility:
    """Say what came of each statement between two plannings of the same catalogues."""
    catalogues = after.catalogues
    counted: Counter[tuple[str, str]] = Counter()
    troubles = []
    for known in catalogues.statements:
        key = (known.role, known.sent.sql)
        if key not in before.answers or key not in after.answers:
            continue
        service = catalogues.services.get(known.role, known.role)
        counted.update((service, release) for release in known.releases)
        found = _Comparison(known, before, after, before.answers[key], after.answers[key]).findings()
        release = next(each for each in (LIVE, TRAFFIC, HEAD) if each in known.releases)
        troubles += [_trouble(each, service, known, release) for each in found]
    return Compatibility(
        catalogues.live_commit,
        tuple((*each, count) for each, count in sorted(counted.items())),
        tuple(troubles),
        catalogues.notes,
        (*catalogues.not_measured, *dict.fromkeys((*before.not_measured, *after.not_measured))),
    )


class _Comparison:
    """One statement, before and after."""

    def __init__(self, known: Known, before: Planned, after: Planned, was: Answer, now: Answer) -> None:
        self.known, self.before, self.after, self.was, self.now = known, before, after, was, now

    def findings(self) -> Iterator[Finding]:
        """What came of it, the certain things first."""
        is_running = self.known.releases != {HEAD}
        if self.now.sqlstate:
            failed_before = is_running and bool(self.was.sqlstate)
            yield Finding(_late(failed_before), "refused", sqlstate=self.now.sqlstate)
            return
        was = None if self.was.sqlstate else self.was
        for name in sorted(self.now.denied):
            failed_before = is_running and name in self.was.denied
            yield Finding(_late(failed_before), "refused", sqlstate=_DENIED, name=name)
        sent, old, new = self.known.sent, self.before.rules, self.after.rules
        work = None if was is None else was.work
        yield from refused_writes(sent, old, new, work, self.now.work, is_running=is_running)
        if was is None or not is_running:
            return
        yield from refused_reads(sent, old, new, was.parameters)
        yield from self._signature(was)
        yield from self._lost_indexes(was)

    def _signature(self, was: Answer) -> Iterator[Finding]:
        """What a client sends and gets, other than before. More columns at the end are more than it asks for."""
        for number, (old, new) in enumerate(zip(was.parameters, self.now.parameters, strict=False), start=1):
            if not _is_compatible(old, new):
                yield Finding(Trouble.CHANGED, "parameters", name=f"${number} is {new}, and was {old}")
        for at, (name, old) in enumerate(was.results):
            if at >= len(self.now.results):
                yield Finding(Trouble.CHANGED, "results", name=f"{name} is gone")
                continue
            new_name, new = self.now.results[at]
            if new_name != name:
                yield Finding(Trouble.CHANGED, "results", name=f"{new_name} is where {name} was")
            elif not _is_compatible(old, new):
                yield Finding(Trouble.CHANGED, "results", name=f"{name} is {new}, and was {old}")

    def _lost_indexes(self, was: Answer) -> Iterator[Finding]:
        """Tables that are read worse than before, also where the planner has to use an index if there is one that serves."""
        for table, reading in was.work.reads.items():
            rules = self.after.rules.tables.get(table)
            rows = self.after.rows.get(rules.shown, 0) if rules else 0
            forced = (self.now.forced or self.now.work).reads.get(table)
            now = self.now.work.reads.get(table)
            if rules is None or now is None or forced is None or rows <= FINDING_ROWS:
                continue
            if now.how < reading.how and forced.how < reading.how:
                yield Finding(Trouble.LOST_INDEX, "index", table=rules.shown, name=reading.index, rows=rows)


def _late(failed_before: bool) -> Trouble:
    return Trouble.FAILED_BEFORE if failed_before else Trouble.FAILS


def _is_compatible(old: str, new: str) -> bool:
    if old == new or any({old, new} <= same for same in _SAME):
        return True
    return any(old in kinds and new in kinds and kinds.index(old) < kinds.index(new) for kinds in _WIDER)


def _trouble(found: Finding, service: str, known: Known, release: str) -> StatementTrouble:
    return StatementTrouble(
        found.trouble,
        service,
        known.role,
        release,
        known.sent.name,
        found.reason,
        found.sqlstate,
        condition_of(found.sqlstate) if found.sqlstate else "",
        found.table,
        found.name,
        found.rows,
    )
