"""The verdict on what was measured: for how long the services wait for a table, and how many rows are written anew.

Both are sums for each table over all pending files: ten files of a deploy that hold a lock for a second each keep a table
shut for ten. What a file accepts (`-- pipeline: accept=exclusive-lock (reason)`) is no part of the sum, and is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.rehearsal.looking import TABLES
from pipeline.rehearsal.values import READS, WRITES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pipeline.rehearsal.values import FileMeasurement

BLOCKED, REWRITTEN = "blocked", "rewritten"


@dataclass(frozen=True, slots=True)
class Budgets:
    """What a table may cost: `blocked` milliseconds in which reads or writes wait, and `rewritten` rows."""

    blocked: float = 2_000.0
    rewritten: int = 100_000

    def limit(self, what: str) -> float:
        """The limit of BLOCKED or REWRITTEN."""
        return self.blocked if what == BLOCKED else self.rewritten


@dataclass(frozen=True, slots=True)
class Share:
    """What one file costs a table: milliseconds, or rows. `line` is where its first such statement is (0: the file's end).

    `accepted` is the file's reason, or empty.
    """

    id: str
    line: int
    cost: float
    blocks: tuple[str, ...] = ()
    accepted: str = ""


@dataclass(frozen=True, slots=True)
class Excess:
    """A table over a budget. `what` is BLOCKED or REWRITTEN, `cost` the sum of all shares, `unaccepted` of those that break it.

    `blocks` says what waits ("reads", "writes") for a lock.
    """

    what: str
    table: str
    limit: float
    shares: tuple[Share, ...]

    @property
    def cost(self) -> float:
        """The milliseconds or rows of all files."""
        return round(sum(share.cost for share in self.shares), 3)

    @property
    def unaccepted(self) -> float:
        """Those of the files that do not accept them."""
        return round(sum(share.cost for share in self.shares if not share.accepted), 3)

    @property
    def blocks(self) -> tuple[str, ...]:
        """What waits for it in any file."""
        return tuple(each for each in (READS, WRITES) if any(each in share.blocks for share in self.shares))

    @property
    def is_break(self) -> bool:
        """Whether it is over the limit without what files accept."""
        return self.unaccepted > self.limit


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is over a budget, the worst of each budget first."""

    excesses: tuple[Excess, ...]

    @property
    def breaks(self) -> tuple[Excess, ...]:
        """Those that no file accepts."""
        return tuple(each for each in self.excesses if each.is_break)

    @property
    def accepted(self) -> tuple[Excess, ...]:
        """Those over a budget only with what files accept."""
        return tuple(each for each in self.excesses if not each.is_break)

    @property
    def passed(self) -> bool:
        """Whether nothing breaks a budget."""
        return not self.breaks


def judge(files: Sequence[FileMeasurement], budgets: Budgets | None = None) -> Verdict:
    """Compare what the files did with the budgets. What they made themselves counts nothing: nobody uses it yet."""
    budgets = budgets or Budgets()
    found = []
    for what, shares_of in ((BLOCKED, _blocked), (REWRITTEN, _rewritten)):
        tables: dict[str, list[Share]] = {}
        for file in files:
            for table, share in shares_of(file):
                tables.setdefault(table, []).append(share)
        excesses = [Excess(what, table, budgets.limit(what), tuple(shares)) for table, shares in tables.items()]
        over = [excess for excess in excesses if excess.cost > excess.limit]
        found += sorted(over, key=lambda excess: (-excess.cost, excess.table))
    return Verdict(tuple(found))


def _blocked(file: FileMeasurement) -> Iterator[tuple[str, Share]]:
    """For how long a table is shut in a file: its locks are all held to the same end, so the longest is all of them."""
    tables: dict[str, Share] = {}
    for part in file.parts:
        for lock in part.locks:
            if not lock.blocks:
                continue
            first = tables.setdefault(lock.table, Share(file.id, part.line, 0.0, (), file.accepted))
            blocks = _both(first.blocks, lock.blocks)
            tables[lock.table] = Share(file.id, first.line, max(first.cost, lock.held), blocks, file.accepted)
    yield from tables.items()


def _rewritten(file: FileMeasurement) -> Iterator[tuple[str, Share]]:
    """The rows of the tables and materialized views that a file writes anew, once for each time."""
    tables: dict[str, Share] = {}
    for part in file.parts:
        for rewrite in part.rewrote:
            if rewrite.is_new or rewrite.kind not in TABLES or not rewrite.rows:
                continue
            first = tables.setdefault(rewrite.relation, Share(file.id, part.line, 0, (), file.accepted))
            tables[rewrite.relation] = Share(file.id, first.line, first.cost + rewrite.rows, (), file.accepted)
    yield from tables.items()


def _both(*blocks: Iterable[str]) -> tuple[str, ...]:
    all_of = {each for some in blocks for each in some}
    return tuple(each for each in (READS, WRITES) if each in all_of)
