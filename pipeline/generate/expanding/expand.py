"""`migrate --rename … --keep-both` and `--retype`: the files by which a column stands double, and schema.sql with both."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.deploy import apply
from pipeline.deploy.target import Target
from pipeline.errors import InvalidPlan, UsageError
from pipeline.generate import generation_lock
from pipeline.generate.derived_files import read_derived
from pipeline.generate.expanding.columns import can_compare, read_column, spelled_name
from pipeline.generate.expanding.editing import Edit, applied, edited, refuse_other_changes, written
from pipeline.generate.expanding.expressions import does_not_come_back, round_trips
from pipeline.generate.expanding.requests import migration_name
from pipeline.generate.expanding.schema_editing import (
    with_column,
    with_constraints,
    with_statements_at_end,
    with_statements_behind,
)
from pipeline.generate.expanding.texts import backfill, expansion, function_sql, trigger_sql
from pipeline.generate.expanding.twins import twins_of
from pipeline.generate.expanding.writers import try_writers
from pipeline.generate.gate import folder_with, prove
from pipeline.generate.generating import refuse_drafts
from pipeline.generate.proposals import Wishes, propose
from pipeline.generate.style import quoted
from pipeline.migrations import read_folder
from pipeline.migrations.names import next_number, number_behind
from pipeline.postgres.session import ServerError
from pipeline.schema.replay import BothSchemas, build_beside, build_both, read_built
from pipeline.schema.shadows import open_shadows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbclient.url import DatabaseURL
    from pipeline.generate import Workbench
    from pipeline.generate.expanding import Change
    from pipeline.generate.expanding.columns import ColumnFacts
    from pipeline.generate.expanding.requests import Request
    from pipeline.generate.generating import Generated, Runner
    from pipeline.schema.shadows import Shadows


def expand(
    name: str, workbench: Workbench, request: Request, *, run: Runner | None = None, dry_run: bool = False
) -> Generated:
    """Write the files of an expansion and schema.sql, prove them, and apply them with `run`. A dry run writes nothing.

    Raises:
        InvalidPlan: schema.sql asks for something else as well, the column cannot stand double, or the files are not proven;
            nothing was written.
        UsageError: the name, the column or an expression cannot be used.
    """
    name = migration_name(name)
    with generation_lock(workbench.state):
        refuse_drafts(workbench.migrations)
        with open_shadows(workbench.local, workbench.shadow) as shadows:
            seen = build_both(shadows, read_folder(workbench.migrations), workbench.schema)
            refuse_other_changes(seen)
            column = read_column(seen.current.database, request.table, request.old)
            _refuse_taken(request, seen)
            change = _change(name, request, column, seen.current.database)
            notes = _rows_of(workbench, change)
            edit = _proven(workbench, shadows, seen, change, column)
        generated = written(workbench, replace(edit, notes=(*notes, *edit.notes)), dry_run=dry_run)
    return applied(workbench, generated, run)


def _change(name: str, request: Request, column: ColumnFacts, database: DatabaseURL) -> Change:
    comparable = can_compare(database, request.type or column.type)
    return request.change(name, spelled_name(database, name), column, comparable=comparable)


def _refuse_taken(request: Request, seen: BothSchemas) -> None:
    columns = seen.current.facts.tables[request.table].columns
    if request.new in columns:
        raise UsageError(
            f"{request.table} has a column {request.new!r} already",
            remedy="Give the new one another name."
            + (" (`--contract` ends an expansion that is open.)" if request.new != request.old else ""),
        )


def _rows_of(workbench: Workbench, change: Change) -> tuple[str, ...]:
    """What the local rows say of another type's two expressions.

    Raises:
        InvalidPlan: one fails on a row, or does not lead back to its value.
    """
    if change.is_rename:
        return ()
    try:
        rows, wrong = round_trips(workbench.local, change)
    except ServerError as error:
        raise InvalidPlan(
            f"on the rows of the local database --using or --back fails: {error.message}",
            remedy="Nothing was written. Correct the expression, or the rows.",
        ) from error
    table = quoted(change.table)
    if wrong:
        raise InvalidPlan(
            f"{wrong} of {rows} rows of {table} have another {quoted(change.old)} after --using and --back",
            remedy="Nothing was written. The old release would read something else than it wrote. They are found by: "
            f"SELECT * FROM {table} WHERE {quoted(change.old)} IS NOT NULL AND {does_not_come_back(change)}",
        )
    if not rows:
        return (f"no row of the local database has a {quoted(change.old)}: --using and --back met no real value",)
    return (f"--using and --back lead back to the same value on {rows} rows of the local database",)


def _proven(workbench: Workbench, shadows: Shadows, seen: BothSchemas, change: Change, column: ColumnFacts) -> Edit:
    """The files and schema.sql.

    Raises:
        InvalidPlan: they are not proven.
    """
    text = workbench.schema.read_text(encoding="utf-8")
    taken = {name for _, name in seen.current.facts.constraints} | seen.current.facts.indexes.keys()
    twins = twins_of(text, change, column, taken)
    schema = _with_both(text, change, column, twins.constraints, twins.indexes)
    ids = [file.id for file in read_folder(workbench.migrations).files]
    number = next_number(ids)
    first = expansion(f"{number}_{change.name}", max(ids, default=""), change)
    second = backfill(f"{number_behind(number)}_{change.name}_backfill", first.id, change, column)
    with edited(workbench, schema, [first, second]) as ahead:
        stage = shadows.clone(seen.current.database, "expanded")
        apply(stage, read_folder(ahead.migrations), target=Target(), verb="prove")
        both = build_beside(lambda: read_built(stage), shadows.create("both"), ahead.schema)
        rest = (
            propose(f"{change.name}_rules", ahead, shadows, both, Wishes(behind=second.id)) if both.deviations else None
        )
    if rest is not None and rest.problems:
        raise InvalidPlan(
            "what the old column's rules and indexes are for the new one could not be proven:\n"
            + "\n".join(rest.problems),
            remedy="Nothing was written.",
        )
    migrations = (first, second, *(rest.migrations if rest else ()))
    whole = BothSchemas(seen.current, both.desired)
    new_ids = [each.id for each in migrations]
    with folder_with(workbench.migrations, migrations) as folder:
        verdict = prove(shadows, whole, folder, new_ids)
        clone = shadows.clone(seen.current.database, "writers")
        tried = try_writers(clone, folder, new_ids, change, column, local=workbench.local, backfill=second.id)
    if verdict.proof is None or tried.problems:
        raise InvalidPlan(
            "the expansion is not proven:\n" + "\n".join((*verdict.problems, *tried.problems)),
            remedy="Nothing was written.",
        )
    return Edit(
        schema,
        migrations,
        read_derived(workbench, verdict.proof.database),
        notes=(*_notes(change, column, twins.left), *tried.doubts),
    )


def _with_both(
    text: str, change: Change, column: ColumnFacts, constraints: Sequence[str], indexes: Sequence[tuple[str, str]]
) -> str:
    definition = change.type + (" NOT NULL" if column.not_null else "")
    text = with_column(text, change.table, change.old, change.new, definition)
    text = with_constraints(text, change.table, constraints)
    text = with_statements_behind(text, change.table, indexes)
    comment = (
        f"{change.table}.{change.old} becomes {change.table}.{change.new}: this keeps both equal until no release uses the old "
        "one\n-- (docs/expand-contract.md)"
    )
    return with_statements_at_end(text, [function_sql(change), trigger_sql(change)], comment)


def _notes(change: Change, column: ColumnFacts, left: Sequence[str]) -> list[str]:
    notes = [f"schema.sql has both columns, and what keeps them equal, until `--contract {change.table}.{change.old}`"]
    if left:
        notes.append(
            f"not carried over to another type: {', '.join(left)}. Write in schema.sql what they are for "
            f"{quoted(change.new)}, and `./inv migrate --name …`"
        )
    if column.default is not None:
        notes.append(
            f"{quoted(change.new)} gets the default with --contract: before, it would hide what an old release writes"
        )
    if column.used_by:
        notes.append(f"these name {quoted(change.old)}, and have to change before it goes: {', '.join(column.used_by)}")
    return notes
