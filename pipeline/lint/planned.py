"""The locks of pending files, statement by statement, for `plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.following import after
from pipeline.lint.locks import lock_of
from pipeline.lint.model import Schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.migrations import MigrationFile
    from pipeline.migrations.sql_text import Statement


def planned_locks(files: Iterable[MigrationFile]) -> dict[str, list[tuple[Statement, str | None]]]:
    """Give, by a migration's id, its statements with the strongest lock that each takes, as `lock_of` says it.

    A function that one of the files makes is looked into where another statement calls it; one that the database has is not.
    """
    schema = Schema()
    planned: dict[str, list[tuple[Statement, str | None]]] = {}
    for file in files:
        planned[file.id] = []
        for statement in file.forward.statements:
            planned[file.id].append((statement, lock_of(statement, schema)))
            schema = after(schema, statement)
    return planned
