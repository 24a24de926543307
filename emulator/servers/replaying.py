"""The state of a server at an earlier moment: a base copy, and the log replayed from it up to a position.

This is PostgreSQL's point-in-time recovery. It ends before the first record that begins at or after the position, which
is what `pg_current_wal_insert_lsn()` means, and what any position between two records means; the server is then promoted
to a timeline of its own. The log is given as hard links to the source's files: they are never written to, because a
server with `wal_recycle` off makes no new files of old ones, and a promoted one writes to new names only.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from emulator.servers import log_position
from emulator.servers.copying import copy_entries
from emulator.servers.log_position import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from emulator.servers import Cluster
    from servers.account import Account

_LONGEST_SECONDS = 900.0
_SETTINGS = {
    "recovery_target_inclusive": "off",
    "recovery_target_action": "promote",
    "hot_standby": "off",
    "wal_keep_size": "0",  # the shutdown then removes the links
    "shared_buffers": "256MB",
    "checkpoint_timeout": "1h",
    "max_wal_size": "1TB",
}


async def replay(
    account: Account, making: Cluster, base: Path, log: Iterable[Path], position: int, timeline: int
) -> None:
    """Make the data directory of `making` (its folder is there) the state at a position of a PostgreSQL timeline.

    `log` holds the segments from the base's begin to the one after the position, and the timeline's history file. The
    server is stopped in the end; ServerFailed says what its log says, for instance that the position was not reached.
    """
    await copy_entries(account, base, making.data)
    _link_log(account, log, making.data / "pg_wal", Segment.at(position, timeline))
    account.write(making.data / "standby.signal", "")
    target = {"recovery_target_lsn": log_position.write(position), "recovery_target_timeline": str(timeline)}
    await making.start(_SETTINGS | target, seconds=_LONGEST_SECONDS)
    await making.stop()


def _link_log(account: Account, log: Iterable[Path], target: Path, last: Segment) -> None:
    with account.acting():
        for file in log:
            place = target / file.name
            place.unlink(missing_ok=True)  # the base's own copy of it ends earlier
            segment = Segment.parse(file.name)
            if segment is not None and segment.number < last.number:
                os.link(file, place)
            else:
                shutil.copyfile(file, place)  # the source may still be writing to it
