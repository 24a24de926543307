"""The benchmark of a rehearsal, on a small production."""

from __future__ import annotations

import shutil

from benchmarks.branching import running_emulator
from benchmarks.rehearsal import Production
from tests.support.run_folders import make_folder


def test_it_compares_what_is_measured_with_what_another_session_sees() -> None:
    folder = make_folder("rehearsal-benchmark")
    try:
        with running_emulator(folder / "emulator") as environment:
            production = Production.make(folder, environment, 2_000)
            with production.client:
                [line] = production.compare("a backfill", 1)
    finally:
        shutil.rmtree(folder)
    assert (line.relation, line.mode) == ("message", "RowExclusiveLock")
    assert line.rows_measured == line.rows_seen == (0, 2_000, 0)
    assert line.measured > 0  # how long, says a production that is large enough
