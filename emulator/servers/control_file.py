"""What a stopped data directory says of itself, read with pg_controldata."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.servers import ServerFailed, log_position

if TYPE_CHECKING:
    from pathlib import Path

    from servers.account import Account


@dataclass(frozen=True)
class ControlFile:
    """Where the last checkpoint began (a recovery starts there), and on which of PostgreSQL's timelines."""

    redo: int
    timeline: int


async def read_control_file(data: Path, programs: Path, account: Account) -> ControlFile:
    """Read it; ServerFailed when the directory has none."""
    process = await asyncio.create_subprocess_exec(
        programs / "pg_controldata",
        *("-D", data),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=data,
        **account.spawn(),
    )
    output, _ = await process.communicate()
    text = output.decode(errors="replace")
    lines = (line.partition(":") for line in text.splitlines())
    told = {name: value.strip() for name, _, value in lines}
    try:
        return ControlFile(
            log_position.parse(told["Latest checkpoint's REDO location"]), int(told["Latest checkpoint's TimeLineID"])
        )
    except (KeyError, ValueError):
        raise ServerFailed(f"{data} is no data directory: {text.strip()}") from None
