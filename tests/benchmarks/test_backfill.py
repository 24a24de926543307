"""The benchmark's proof, scaled down: what it says of a million rows is measured by hand, and not here."""

from __future__ import annotations

from benchmarks.backfill import prove_kills


def test_kills_and_a_crash_lose_no_row_and_repeat_none() -> None:
    found = prove_kills(rows=20_000, kills=2, crashes=1)
    assert found.times_changed == {"1": 20_000}
    assert (found.recorded, found.crashes) == (20_000, 1)
