"""whole-table-change: rows changed or deleted without a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.effect import holds
from pipeline.lint.phrase import Phrase, quoted
from pipeline.lint.row_changes import row_changes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.row_changes import RowChange
    from pipeline.lint.source import Source

_UNTIL = "until the whole file is committed"


def whole_table_change(source: Source) -> Iterable[Finding]:
    """UPDATE or DELETE of a table in use without a WHERE, or with one that may be true of any number of rows.

    A bound is a LIMIT, or values for all columns of a unique key. In a function's body, which others call, only a missing
    WHERE is found.
    """
    for step in source.steps if not source.is_rollback else ():
        for change in row_changes(Phrase(step.statement), step.before):
            if not step.before.in_use(change.table) or change.is_bounded or (change.has_where and not step.runs):
                continue
            yield source.at(step, "whole-table-change", _message(change), _help(change))


def _message(change: RowChange) -> str:
    what = "changed" if change.verb == "UPDATE" else "deleted"
    which = "however many rows the condition is true of are" if change.has_where else "every row is"
    return (
        f"{which} {what} in one transaction: it {holds('ROW EXCLUSIVE', change.table, _UNTIL)}. The write-ahead log grows by "
        "all of them, which Neon keeps and counts, and vacuum can clear up nothing meanwhile"
    )


def _help(change: RowChange) -> str:
    table = quoted(change.table)
    if change.verb == "DELETE":
        step = f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE … LIMIT 5000);"
    else:
        step = f"UPDATE {table} SET … WHERE id IN (SELECT id FROM {table} WHERE … IS NULL LIMIT 5000);"
    return (
        f"In steps, each a transaction of its own, outside of the migrations: {step} until no row is left "
        "(docs/expand-contract.md). For a few thousand rows, ignore this rule with their number as the reason."
    )
