"""set-not-null: a scan of the table under the strongest lock, unless a validated check has done it before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.effect import holds, while_reading
from pipeline.lint.expressions import proves_not_null
from pipeline.lint.phrase import altered_columns, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.model import Relation
    from pipeline.lint.source import Source


def set_not_null(source: Source) -> Iterable[Finding]:
    """ALTER COLUMN … SET NOT NULL on a table in use, where no valid CHECK says that this column is not null.

    PostgreSQL skips the scan when one does (documentation of ALTER TABLE). The check may be in an earlier file.
    """
    for step in source.running:
        for table, column, clause in altered_columns(step.statement):
            if not step.before.in_use(table):
                continue
            if not clause.take("SET", "NOT", "NULL") or _is_proven(step.before.relation(table), column):
                continue
            name = quoted(f"{table.rpartition('.')[2]}_{column}_not_null"[:63])
            alter = f"ALTER TABLE {quoted(table)}"
            yield source.at(
                step,
                "set-not-null",
                f"it {holds('ACCESS EXCLUSIVE', table, while_reading(table))}",
                f"First file: {alter} ADD CONSTRAINT {name} CHECK ({quoted(column)} IS NOT NULL) NOT VALID; second file: "
                f"{alter} VALIDATE CONSTRAINT {name}; {alter} ALTER COLUMN {quoted(column)} SET NOT NULL; {alter} DROP "
                f"CONSTRAINT {name}; `./inv migrate --name …` writes it so.",
            )


def _is_proven(table: Relation, column: str) -> bool:
    known = table.columns.get(column)
    if known is not None and known.not_null:
        return True
    return any(
        each.valid and ((each.kind == "check" and proves_not_null(each.check, column))
                        or (each.kind == "not null" and column in each.columns))
        for each in table.constraints.values()
    )  # fmt: skip
