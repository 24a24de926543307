"""ban-drop-default: an INSERT that leaves the column out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.phrase import altered_columns, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.source import Source


def ban_drop_default(source: Source) -> Iterable[Finding]:
    """ALTER COLUMN … DROP DEFAULT on a table in use, where the same deploy gives the column none again."""
    for step in source.running:
        for table, name, clause in altered_columns(step.statement):
            if not step.before.in_use(table):
                continue
            last = (source, *source.same_deploy)[-1].after
            column = last.relation(table).columns.get(name)
            gone = column is None and last.relation(table).is_read
            if not clause.take("DROP", "DEFAULT") or gone or (column and (column.default or column.numbers_rows)):
                continue
            yield source.at(
                step,
                "ban-drop-default",
                f"a release that leaves {quoted(name)} out of its INSERT writes null from the commit on, or fails where the "
                "column is NOT NULL",
                "Deploy releases that always give a value first; then ignore this rule with that as the reason.",
            )
