"""The SQL of an expansion: the column and its trigger, and what takes them away again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.generate.expanding.expressions import in_trigger, with_cast
from pipeline.generate.new_migrations import NewMigration
from pipeline.generate.style import quoted, spelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.generate.expanding import Change
    from pipeline.generate.expanding.columns import ColumnFacts


def function_sql(change: Change) -> str:
    """CREATE FUNCTION of the trigger: whichever column a release writes, the other one follows.

    An INSERT without the new column is the old release's, and so is an UPDATE that leaves it alone; both also bring a row up
    to date that was there before.
    """
    old, new = f"NEW.{quoted(change.old)}", f"NEW.{quoted(change.new)}"
    forward, back = in_trigger(change.forward, change.old), in_trigger(change.back, change.new)
    cast = "" if change.comparable else "::text"
    return (
        f"CREATE FUNCTION {change.function}() RETURNS trigger LANGUAGE plpgsql AS $$\n"
        "BEGIN\n"
        f"    IF TG_OP = 'INSERT' AND {new} IS NULL THEN\n"
        f"        {new} := {forward};\n"
        f"    ELSIF TG_OP = 'INSERT' OR {new}{cast} IS DISTINCT FROM OLD.{quoted(change.new)}{cast} THEN\n"
        f"        {old} := {back};\n"
        "    ELSE\n"
        f"        {new} := {forward};\n"
        "    END IF;\n"
        "    RETURN NEW;\n"
        "END\n"
        "$$"
    )


def trigger_sql(change: Change) -> str:
    """CREATE TRIGGER."""
    return (
        f"CREATE TRIGGER {change.spelled} BEFORE INSERT OR UPDATE ON {quoted(change.table)}\n"
        f"    FOR EACH ROW EXECUTE FUNCTION {change.function}()"
    )


def added_column(change: Change) -> str:
    """ALTER TABLE … ADD COLUMN of the new one, which may be null until every row has it."""
    return f"ALTER TABLE {quoted(change.table)} ADD COLUMN {quoted(change.new)} {change.type}"


def removed_trigger(change: Change) -> tuple[str, str]:
    """What takes the trigger and its function away."""
    return (f"DROP TRIGGER {change.spelled} ON {quoted(change.table)}", f"DROP FUNCTION {change.function}()")


def dropped_column(change: Change, column: str) -> str:
    """ALTER TABLE … DROP COLUMN of one of the two."""
    return f"ALTER TABLE {quoted(change.table)} DROP COLUMN {quoted(column)}"


def restored_column(change: Change, column: ColumnFacts) -> list[str]:
    """What brings the old column back as it was, with the values that the new one has."""
    alter = f"ALTER TABLE {quoted(change.table)}"
    old = quoted(change.old)
    found = [
        f"{alter} ADD COLUMN {old} {column.definition}",
        f"UPDATE {quoted(change.table)} SET {old} = {change.back} WHERE {quoted(change.new)} IS NOT NULL",
    ]
    if column.default is not None:
        found.append(f"{alter} ALTER COLUMN {old} SET DEFAULT {column.default}")
    if column.not_null:
        found.append(f"{alter} ALTER COLUMN {old} SET NOT NULL")
    found += [spelled(f"{alter} ADD CONSTRAINT {quoted(each.name)} {each.definition}") for each in column.constraints]
    found += [spelled(each.definition) for each in column.indexes]
    return found


def expansion(id_: str, previous: str, change: Change) -> NewMigration:
    """The first file: the column, and what keeps both equal. It touches no row."""
    table, old, new = change.table, change.old, change.new
    forward = _file(
        [
            f"{table}.{new} beside {table}.{old}, kept equal while services move from one to the other",
            *_depends(previous),
            f"pipeline: expands={quoted(table)}.{quoted(old)} into={quoted(new)}",
        ],
        [added_column(change), function_sql(change), trigger_sql(change)],
    )
    backward = _file([f"Undo: {table}.{new}"], [*removed_trigger(change), dropped_column(change, new)])
    return NewMigration(id_, forward, backward)


def backfill(id_: str, expansion_id: str, change: Change, column: ColumnFacts) -> NewMigration:
    """The second file: the rows that were there get their new column, batch by batch.

    Where values cannot be told apart, as those of json, a row without a value is taken for one that is not done.
    """
    table, old, new = quoted(change.table), quoted(change.old), quoted(change.new)
    left = (
        f"{new} IS DISTINCT FROM {with_cast(change)}" if change.comparable else f"{old} IS NOT NULL AND {new} IS NULL"
    )
    forward = (
        f"-- {change.table}.{change.new} of the rows from before {expansion_id.partition('_')[0]}\n"
        f"-- depends: {expansion_id}\n"
        f"-- pipeline: batched={table} key={','.join(map(quoted, column.key))}\n"
        f"-- remaining: SELECT count(*) FROM {table} WHERE {left}\n\n"
        f"UPDATE {table} SET {new} = {change.forward}\n WHERE {left} AND /* batch */ true;\n"
    )
    undo = f"-- Undo: nothing. The values are right, and {expansion_id.partition('_')[0]} takes the column away\n\nSELECT 1;\n"
    return NewMigration(id_, forward, undo)


def contraction(id_: str, depends: str, change: Change, column: ColumnFacts) -> NewMigration:
    """The last file: the old column goes, and the new one gets its default."""
    table, old, new = change.table, change.old, change.new
    alter = f"ALTER TABLE {quoted(table)} ALTER COLUMN {quoted(new)}"
    has_default = column.default is not None
    trigger, function = removed_trigger(change)
    forward = _file(
        [
            f"{table}.{old} goes: every release that may still run uses {new}",
            *_depends(depends),
            f"pipeline: contracts={quoted(table)}.{quoted(old)} into={quoted(new)}",
        ],
        [
            trigger,
            f"-- lint: ignore ban-drop-function (only the trigger used it)\n{function}",
            *([f"{alter} SET DEFAULT {spelled(column.default or '')}"] if has_default else []),
            f"-- lint: ignore ban-drop-column (no release that may still run names it)\n{dropped_column(change, old)}",
        ],
    )
    backward = _file(
        [f"Undo: {table}.{old} beside {table}.{new} again"],
        [
            *restored_column(change, column),
            *([f"{alter} DROP DEFAULT"] if has_default else []),
            function_sql(change),
            trigger_sql(change),
        ],
    )
    return NewMigration(id_, forward, backward)


def _file(head: Sequence[str], found: Sequence[str]) -> str:
    comments = "".join(f"-- {line}\n" for line in head)
    return f"{comments}\n" + "\n\n".join(f"{statement};" for statement in found) + "\n"


def _depends(previous: str) -> list[str]:
    return [f"depends: {previous}"] if previous else []
