"""One run of one program, from its start to its end, with all that Python and Invoke do before the first line of ours."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LAUNCHER = Path(__file__).with_name("launcher.py")
_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Command:
    """A program with its arguments, where it runs and what it finds in its environment."""

    arguments: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Spent:
    """What one run took: seconds of wall time, seconds of CPU, and bytes of resident memory at its peak."""

    wall: float
    cpu: float
    peak: int


def run(command: Command) -> Spent:
    """Run it to its end.

    Raises:
        PipelineError: it failed; the message has what it said.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(_LAUNCHER), *command.arguments],
        cwd=command.cwd,
        env=dict(command.environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    wall, cpu, peak, status = done.stdout.split() if done.returncode == 0 else ("0", "0", "0", "launcher")
    if status != "0":
        raise PipelineError(f"{Path(command.arguments[0]).name} failed ({status}):\n{done.stderr[-2000:]}")
    return Spent(float(wall), float(cpu), int(peak))
