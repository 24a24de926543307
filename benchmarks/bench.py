"""The run: every case with every tool, in turns, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.cases import CASES, name_of
from benchmarks.checkout import make_checkout
from benchmarks.link import CountedLink
from benchmarks.process import run
from benchmarks.server import running_server
from benchmarks.tools import Tool, found
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.cases import Case
    from benchmarks.link import Traffic
    from benchmarks.process import Spent
    from benchmarks.server import Server
    from benchmarks.tools import Name
    from dbclient.url import DatabaseURL

ROUND_TRIP = 0.020
"""Seconds: a client and a server in two regions of one continent."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How often each measurement is repeated, and how long.

    A tool that took more than `seconds` for a case so far is not run for it again. What would take longer than
    `longest` seconds by the count of its waits alone is left out.
    """

    repeat: int = 5
    seconds: float = 12.0
    longest: float = 60.0


@dataclass
class Measured:
    """One tool at one case over one link."""

    spent: list[Spent] = field(default_factory=list)
    traffic: Traffic | None = None

    @property
    def wall(self) -> float:
        """Seconds, the median."""
        return median(each.wall for each in self.spent)

    @property
    def fastest(self) -> float:
        """Seconds, the smallest: what the others' work on the machine disturbed least."""
        return min(each.wall for each in self.spent)

    @property
    def cpu(self) -> float:
        """Seconds of the client's CPU, the median."""
        return median(each.cpu for each in self.spent)

    @property
    def peak(self) -> int:
        """Bytes, the largest."""
        return max(each.peak for each in self.spent)


@dataclass(frozen=True)
class Row:
    """One case over one link, by tool. `round_trip` is in seconds, 0 for loopback."""

    case: Case
    round_trip: float
    tools: dict[Name, Measured]


def measure(
    names: Sequence[str] = (), *, limits: Limits | None = None, tell: Callable[[str], None] = lambda _: None
) -> list[Row]:
    """Measure the named cases (all of them by default) on loopback and with 20 ms of round trip.

    Raises:
        UsageError: there is no such case, or nothing to repeat.
        PipelineError: a tool failed.
    """
    chosen = choose(names)
    limits = limits or Limits()
    if limits.repeat < 1:
        raise UsageError(f"--repeat {limits.repeat}: nothing would be measured", remedy="Give 1 or more.")
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="bench-"))
        stack.callback(shutil.rmtree, folder)
        folder.chmod(0o755)  # as root, another account runs the server
        tell("making a server")
        server = stack.enter_context(running_server(folder / "server"))
        links = {
            round_trip: stack.enter_context(CountedLink(server.owner, round_trip=round_trip))
            for round_trip in (0.0, ROUND_TRIP)
        }
        bench = _Bench(folder, server, links, limits, tell)
        return [row for case in chosen for row in bench.rows(case)]


def choose(names: Sequence[str]) -> list[Case]:
    """The cases of these names, in the order in which they build on each other.

    Raises:
        UsageError: there is no such case.
    """
    known = [case.name for case in CASES]
    for name in names:
        if name not in known:
            raise UsageError(f"no case is named {name}", remedy=f"There are {', '.join(known)}.")
    return [case for case in CASES if not names or case.name in names]


class _Bench:
    def __init__(
        self,
        folder: Path,
        server: Server,
        links: dict[float, CountedLink],
        limits: Limits,
        tell: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._server = server
        self._links = links
        self._limits = limits
        self._tell = tell
        self._tools = [Tool(name) for name in found()]
        self._kept: dict[Name, DatabaseURL] = {}

    def rows(self, case: Case) -> list[Row]:
        """The case on loopback, counted and measured, then over the slow link."""
        checkout = self._checkout(case.files)
        begin = self._begin_on_top if case.applied else self._begin_from_zero
        measured: dict[Name, Measured] = {tool.name: Measured() for tool in self._tools}
        for tool in self._tools:
            # Also warms up: the first run compiles the checkout's tasks.py.
            self._tell(f"{case.name}: counting {tool.name}")
            link = self._links[0.0]
            link.counted()
            run(tool.command(case, checkout, link.lead_to(begin(tool, case))))
            measured[tool.name].traffic = link.counted()
        near = Row(case, 0.0, measured)
        self._repeat(near, checkout, begin, lambda url: url)
        link = self._links[ROUND_TRIP]
        slow: dict[Name, Measured] = {}
        for name, each in measured.items():
            assert each.traffic is not None
            if each.traffic.waits * ROUND_TRIP <= self._limits.longest:
                slow[name] = Measured(traffic=each.traffic)
        far = Row(case, ROUND_TRIP, slow)
        self._repeat(far, checkout, begin, link.lead_to)
        return [near, far]

    def _repeat(
        self,
        row: Row,
        checkout: Path,
        begin: Callable[[Tool, Case], DatabaseURL],
        lead: Callable[[DatabaseURL], DatabaseURL],
    ) -> None:
        how = f"{row.round_trip * 1000:.0f} ms" if row.round_trip else "loopback"
        for turn in range(1, self._limits.repeat + 1):
            for tool in self._tools:
                measured = row.tools.get(tool.name)
                if measured is None or sum(each.wall for each in measured.spent) > self._limits.seconds:
                    continue
                self._tell(f"{row.case.name}, {how}: {tool.name}, {turn} of {self._limits.repeat}")
                database = begin(tool, row.case)
                measured.spent.append(run(tool.command(row.case, checkout, lead(database))))

    def _checkout(self, files: int) -> Path:
        folder = self._folder / f"checkout-{files}"
        return folder if folder.exists() else make_checkout(folder, files)

    def _begin_from_zero(self, tool: Tool, _case: Case) -> DatabaseURL:
        return self._server.make_database(f"zero_{tool.name}")

    def _begin_on_top(self, tool: Tool, case: Case) -> DatabaseURL:
        """A database with the case's migrations, made by the tool itself and kept; what came on top is taken away."""
        if tool.name not in self._kept:
            self._tell(f"{case.name}: {case.applied} migrations by {tool.name}")
            database = self._server.make_database(f"top_{tool.name}")
            from_zero = next(each for each in CASES if (each.applied, each.pending) == (0, case.applied))
            run(tool.command(from_zero, self._checkout(case.applied), database))
            self._kept[tool.name] = database
        database = self._kept[tool.name]
        on_top = name_of(case.applied + 1)
        self._server.execute(database, f"DROP TABLE IF EXISTS item_{case.applied + 1:04};{tool.forget_sql(on_top)}")
        return database
