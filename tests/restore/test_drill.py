"""The drill of benchmarks/going_back.py, with a thousand rows instead of a gigabyte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.going_back import drill

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.emulator import Emulator


def test_going_back_gives_the_fingerprint_and_the_rows_of_the_moment_before(emulator: Emulator, tmp_path: Path) -> None:
    environment = {name: emulator.environment[name] for name in ("NEON_API_KEY", "NEON_API_URL")}
    assert drill(environment, tmp_path, 1000).rows_back == 2000
