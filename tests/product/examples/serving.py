"""An example as a process: started, waited for, spoken to, stopped."""

from __future__ import annotations

import re
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.product.examples.fuzzing import Address
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Serving:
    """A running example. What it prints goes to a file, which never fills up as a pipe does."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str

    @property
    def address(self) -> Address:
        """Where it listens."""
        host, port = self.url.removeprefix("http://").split(":")
        return Address(host, int(port))

    @property
    def printed(self) -> str:
        """What it printed so far."""
        return self.log.read_text(errors="replace")

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Send SIGTERM and wait; its exit code."""
        self.ask_to_stop()
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()


def serve(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], log: Path, listening: str
) -> Serving:
    """Start an example and wait until it says where it listens: `listening` has a group for the URL."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command), cwd=folder, env=dict(environment), stdout=output, stderr=subprocess.STDOUT
        )

    def says_where() -> re.Match[str] | None:
        if process.poll() is not None:
            raise AssertionError(f"it ended before it listened:\n{log.read_text()}")
        return re.search(listening, log.read_text())

    try:
        until(says_where)
    except BaseException:
        process.kill()
        raise
    found = says_where()
    assert found
    return Serving(process, log, found[1])
