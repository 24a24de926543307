"""The differ's program kept running for many questions: starting it takes as long as an answer."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Sequence


class KeptProgram:
    """One process, started with the first question, and again where one was too much for it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, command: Sequence[str], line: str) -> str:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            self._process.wait(timeout=30)
            raise PipelineError("the differ ended without an answer")
        return answer

    def stop(self) -> None:
        """Let it end."""
        if self._process is not None:
            self._process.communicate(timeout=30)
