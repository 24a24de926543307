"""Who waits for which table, when, and for how long: the locks of a measured run that block, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.rehearsal.values import READS, WRITES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pipeline.rehearsal.values import FileMeasurement, StatementMeasurement


@dataclass(frozen=True, slots=True)
class Wait:
    """What one statement keeps waiting for one table: `held` milliseconds, by its strongest lock's `mode`."""

    table: str
    blocks: tuple[str, ...]
    held: float
    mode: str


@dataclass(frozen=True, slots=True)
class Shut:
    """A file's share of the time in which reads, or writes, of a table wait: milliseconds of the file's own clock.

    `is_exact`: the begin is known. Of a statement outside a transaction only the duration is.
    """

    file: FileMeasurement
    table: str
    what: str
    begin: float
    end: float
    is_exact: bool

    @property
    def milliseconds(self) -> float:
        """For how long."""
        return self.end - self.begin


def waits_of(statement: StatementMeasurement) -> list[Wait]:
    """For each table that a statement shuts, what waits for it: the longest first."""
    tables: dict[str, Wait] = {}
    for lock in statement.locks:
        if not lock.blocks:
            continue
        first = tables.get(lock.table, Wait(lock.table, (), 0.0, ""))
        all_of = {*first.blocks, *lock.blocks}
        stronger = len(lock.blocks) > len(first.blocks)
        tables[lock.table] = Wait(
            lock.table,
            tuple(each for each in (READS, WRITES) if each in all_of),
            max(first.held, lock.held),
            lock.mode if stronger else first.mode,
        )
    return sorted(tables.values(), key=lambda wait: (-wait.held, wait.table))


def shut_in(file: FileMeasurement) -> list[Shut]:
    """When each table is shut in a file, for reads and for writes: from the first such lock to the end of COMMIT."""
    found: dict[tuple[str, str], Shut] = {}
    for begin, part in _on_the_clock(file):
        for lock in part.locks:
            for what in lock.blocks:
                till = begin + lock.held if part.observed else file.milliseconds
                shut = Shut(file, lock.table, what, begin, till, not part.observed)
                first = found.get((lock.table, what))
                if first is None or shut.milliseconds > first.milliseconds:
                    found[(lock.table, what)] = shut
    return list(found.values())


def longest_wait(files: Iterable[FileMeasurement]) -> float:
    """For how long the table is shut that is shut for longest, over all files."""
    return max((max(reads, writes) for _, reads, writes in waits_by_table(files)), default=0.0)


def waits_by_table(files: Iterable[FileMeasurement]) -> list[tuple[str, float, float]]:
    """Each table with the milliseconds in which reads and in which writes of it wait, over all files: the worst first."""
    tables: dict[str, dict[str, float]] = {}
    for file in files:
        for shut in shut_in(file):
            table = tables.setdefault(shut.table, {READS: 0.0, WRITES: 0.0})
            table[shut.what] += shut.milliseconds
    found = [(table, waits[READS], waits[WRITES]) for table, waits in tables.items()]
    return sorted(found, key=lambda each: (-max(each[1:]), each[0]))


def shutting(files: Sequence[FileMeasurement]) -> list[FileMeasurement]:
    """The files that keep somebody waiting."""
    return [file for file in files if shut_in(file)]


def _on_the_clock(file: FileMeasurement) -> Iterator[tuple[float, StatementMeasurement]]:
    """Each part of a file with its begin, in milliseconds from that of the file."""
    clock = 0.0
    for part in file.parts:
        yield clock, part
        clock += part.milliseconds
