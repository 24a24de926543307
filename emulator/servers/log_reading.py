"""When was what committed: the log's own record of it, read with pg_waldump.

A commit carries the server's wall clock at that moment. The files' times tell where to begin, so that a day's log is not
read for one second of it.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from emulator.servers import log_position
from emulator.servers.log_position import Segment

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from servers.account import Account

_COMMIT = re.compile(
    rb"lsn: ([0-9A-F]+/[0-9A-F]+), .*desc: COMMIT(?:_PREPARED \d+:)? (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC"
)
# The kernel stamps files with a clock that ticks some milliseconds apart, and the server's clock is read before the write.
_MARGIN = timedelta(seconds=1)


class LogGone(Exception):
    """The log of that time has been removed."""


@dataclass(frozen=True)
class Commit:
    """A commit record: where it begins, and the server's time in it (UTC)."""

    position: int
    instant: datetime


class LogReader:
    """Reads the log of data directories."""

    def __init__(self, programs: Path, account: Account) -> None:
        self._programs = programs
        self._account = account

    def segments(self, folder: Path) -> list[Segment]:
        """The segments in a pg_wal folder, oldest first; those that are made in advance are among them."""
        with self._account.acting():
            found = [Segment.parse(entry.name) for entry in folder.iterdir()]
        return sorted(segment for segment in found if segment is not None)

    async def first_commit_after(self, folder: Path, instant: datetime, begin: Segment) -> Commit | None:
        """The first commit later than an instant, from a segment on; None when there is none (yet)."""
        start = begin
        for segment in self.segments(folder):
            if segment.timeline != begin.timeline or segment < begin:
                continue
            start = segment
            if self._written(folder / segment.name) >= instant - _MARGIN:
                break
        async with aclosing(self._commits(folder, start.begin, start.timeline)) as commits:
            async for commit in commits:
                if commit.instant > instant:
                    return commit
        return None

    async def first_commit_from(self, folder: Path, position: int, timeline: int) -> Commit | None:
        """The first commit whose record begins at a position or later; None when there is none (yet)."""
        async with aclosing(self._commits(folder, position, timeline)) as commits:
            async for commit in commits:
                if commit.position >= position:
                    return commit
        return None

    async def last_commit_before(self, folder: Path, position: int, timeline: int) -> datetime | None:
        """When the newest commit before a position was made, if it is in the same segment; else when that one began."""
        segment, found = Segment.at(position, timeline), None
        async with aclosing(self._commits(folder, segment.begin, timeline)) as commits:
            async for commit in commits:
                if commit.position >= position:
                    break
                found = commit.instant
        if found is None:
            before = folder / Segment(segment.number - 1, timeline).name
            with suppress(FileNotFoundError):
                found = self._written(before)
        return found

    def _written(self, file: Path) -> datetime:
        with self._account.acting():
            return datetime.fromtimestamp(file.stat().st_mtime, UTC)

    async def _commits(self, folder: Path, position: int, timeline: int) -> AsyncGenerator[Commit, None]:
        numbers = [segment.number for segment in self.segments(folder) if segment.timeline == timeline]
        wanted, last = Segment.at(position, timeline).number, max(numbers, default=-1)
        if wanted > last:
            return
        if wanted not in numbers:
            raise LogGone(f"the log at {log_position.write(position)} is not kept any more")
        end = Segment(last + 1, timeline).begin  # without it, pg_waldump waits five seconds for the file after the last
        process = await asyncio.create_subprocess_exec(
            self._programs / "pg_waldump",
            *("--path", folder, "--timeline", str(timeline), "--rmgr", "Transaction"),
            *("--start", log_position.write(position), "--end", log_position.write(end)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # it ends with an error where the log ends
            cwd=folder,
            **self._account.spawn(),
        )
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            async for line in process.stdout:
                found = _COMMIT.search(line)
                if found is not None:
                    instant = datetime.fromisoformat(found[2].decode()).replace(tzinfo=UTC)
                    yield Commit(log_position.parse(found[1].decode()), instant)
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
