"""Which of some files' expansions no other of them ends, and what belongs to each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.migrations import MigrationFile
    from pipeline.migrations.expansions import Expansion


@dataclass(frozen=True, slots=True)
class Open:
    """An expansion that nothing among some files ends: its file, and that of its backfill, or its own where it has none."""

    expansion: Expansion
    file: MigrationFile
    backfill: MigrationFile


def open_expansions(files: Sequence[MigrationFile]) -> list[Open]:
    """Those of these files, which are in order."""
    done = {(each.table, each.old) for file in files if (each := file.forward.contracts)}
    return [
        Open(each, file, _backfill_of(file, files))
        for file in files
        if (each := file.forward.expands) and (each.table, each.old) not in done
    ]


def _backfill_of(expansion: MigrationFile, files: Sequence[MigrationFile]) -> MigrationFile:
    """The batched file that depends on the expansion brings the rows from before up to date."""
    found = (file for file in files if file.forward.batched and expansion.id in file.forward.depends)
    return next(found, expansion)
