"""history-schema: the record of what ran is written by the runner alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


_SCHEMA = "migration_history"
_YOYO_TABLES = {"_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock"}
_READS = {"SELECT", "TABLE", "EXPLAIN"}


def history_schema(source: Source) -> Iterable[Finding]:
    """Any statement that names the schema of the history, or a table of yoyo's, other than one that reads."""
    for step in source.steps:
        statement = step.statement
        names = {token.identifier for token in statement.tokens if token.kind in {"word", "quoted"}}
        if statement.words[0] not in _READS and (_SCHEMA in names or names & _YOYO_TABLES):
            yield source.at(
                step,
                "history-schema",
                f"{_SCHEMA} records which migrations ran; a migration that touches it can make that record untrue",
                "Leave it to the runner: `./inv rollback`, `./inv baseline`. Data of the platform goes into public.",
            )
