"""What stands double on an environment: the expansions that are open there, and what is still missing to end each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.migrations.open_expansions import open_expansions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from pipeline.history.backfills import Backfill
    from pipeline.migrations import MigrationFile
    from pipeline.migrations.open_expansions import Open
    from pipeline.migrations.plan import Applied


@dataclass(frozen=True, slots=True)
class Expanded:
    """A column that stands double on an environment since a migration was applied. `missing` are sentences, in order."""

    id: str
    table: str
    old: str
    new: str
    since: datetime | None
    missing: tuple[str, ...]


def expanded(
    files: Sequence[MigrationFile], applied: Mapping[str, Applied], backfills: Sequence[Backfill]
) -> tuple[Expanded, ...]:
    """Those of a checkout's files that an environment has applied, and whose end it has not."""
    ending = {(ends.table, ends.old): file for file in files if (ends := file.forward.contracts)}
    known = {each.id: each for each in backfills}
    found = []
    for each in open_expansions([file for file in files if file.forward.contracts is None]):
        expansion, end = each.expansion, ending.get((each.expansion.table, each.expansion.old))
        if each.file.id in applied and (end is None or end.id not in applied):
            missing = tuple(_missing(each, end, files, applied, known))
            since = applied[each.file.id].applied_at
            found.append(Expanded(each.file.id, expansion.table, expansion.old, expansion.new, since, missing))
    return tuple(found)


def _missing(
    open_: Open,
    end: MigrationFile | None,
    files: Sequence[MigrationFile],
    applied: Mapping[str, Applied],
    backfills: Mapping[str, Backfill],
) -> Iterator[str]:
    backfill = open_.backfill.id
    if backfill not in applied:
        yield f"{backfill} is not deployed"
    elif backfill in backfills and not backfills[backfill].is_complete:
        yield f"{backfill} is {backfills[backfill].percent} % done"
    behind = [file for file in files if backfill in file.forward.depends and file.forward.contracts is None]
    yield from (f"{file.id} is not deployed" for file in behind if file.id not in applied)
    column = f"{open_.expansion.table}.{open_.expansion.old}"
    if end is not None:
        yield f"{end.id} is not deployed"
    else:
        yield f"the end of every release that uses {column}; then `./inv migrate --name … --contract {column}`"
