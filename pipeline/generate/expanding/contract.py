"""`migrate --contract`: the file by which the old column of an expansion goes, and schema.sql without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbclient.quoting import identifier
from pipeline.errors import InvalidPlan, UsageError
from pipeline.generate import generation_lock
from pipeline.generate.derived_files import read_derived
from pipeline.generate.expanding import Change
from pipeline.generate.expanding.columns import can_compare, read_column, spelled_name
from pipeline.generate.expanding.editing import Edit, applied, edited, refuse_other_changes, written
from pipeline.generate.expanding.schema_editing import with_comment_of, with_default, without_items, without_statements
from pipeline.generate.expanding.texts import contraction
from pipeline.generate.gate import prove
from pipeline.generate.generating import refuse_drafts
from pipeline.generate.new_migrations import check_name
from pipeline.generate.proposals.online import created_index
from pipeline.generate.style import quoted, spelled
from pipeline.migrations import read_folder
from pipeline.migrations.names import next_number
from pipeline.migrations.open_expansions import open_expansions
from pipeline.migrations.phrase import Phrase, altered_table
from pipeline.migrations.sql_text import tokens
from pipeline.schema.replay import BothSchemas, build_beside, build_both
from pipeline.schema.shadows import open_shadows

if TYPE_CHECKING:
    from pipeline.generate import Workbench
    from pipeline.generate.expanding.columns import ColumnFacts
    from pipeline.generate.generating import Generated, Runner
    from pipeline.migrations import Folder
    from pipeline.migrations.open_expansions import Open
    from pipeline.migrations.sql_text import Statement
    from pipeline.schema.replay import BuiltSchema


def contract(
    name: str, workbench: Workbench, table: str, old: str, *, run: Runner | None = None, dry_run: bool = False
) -> Generated:
    """Write the file that takes the old column away, and schema.sql without it; prove, and apply it with `run`.

    Raises:
        UsageError: no open expansion is of this column.
        InvalidPlan: schema.sql asks for something else as well, or the file is not proven; nothing was written.
    """
    name = check_name(name)
    with generation_lock(workbench.state):
        refuse_drafts(workbench.migrations)
        folder = read_folder(workbench.migrations)
        found = _open_expansion(folder, table, old)
        with open_shadows(workbench.local, workbench.shadow) as shadows:
            seen = build_both(shadows, folder, workbench.schema)
            refuse_other_changes(seen)
            column = read_column(seen.current.database, table, old)
            change = _change_of(found, seen.current)
            schema = _without_old(workbench.schema.read_text(encoding="utf-8"), change, column)
            ids = [file.id for file in folder.files]
            depends = " ".join(dict.fromkeys([found.backfill.id, ids[-1]]))
            migration = contraction(f"{next_number(ids)}_{name}", depends, change, column)
            with edited(workbench, schema, [migration]) as ahead:
                both = build_beside(lambda: seen.current, shadows.create("contracted"), ahead.schema)
                verdict = prove(
                    shadows, BothSchemas(seen.current, both.desired), read_folder(ahead.migrations), [migration.id]
                )
            if verdict.proof is None:
                raise InvalidPlan(
                    "the contraction is not proven:\n" + "\n".join(verdict.problems), remedy="Nothing was written."
                )
            losses = (f"the column {quoted(old)} of {quoted(table)}, whose values {quoted(change.new)} has",)
            edit = Edit(schema, (migration,), read_derived(workbench, verdict.proof.database), losses)
        generated = written(workbench, edit, dry_run=dry_run)
    return applied(workbench, generated, run)


def _open_expansion(folder: Folder, table: str, old: str) -> Open:
    found = open_expansions(folder.files)
    for each in found:
        if (each.expansion.table, each.expansion.old) == (table, old):
            return each
    names = ", ".join(f"{each.expansion.table}.{each.expansion.old}" for each in found)
    raise UsageError(
        f"--contract {table}.{old}: no open expansion is of that column",
        remedy=f"Open are: {names}." if names else "None is open: `--rename … --keep-both` begins one.",
    )


def _change_of(found: Open, built: BuiltSchema) -> Change:
    """Read the expansion back from its file: the two expressions stand in the trigger's function.

    Raises:
        InvalidPlan: the function was written anew by hand, so that they cannot be told.
    """
    file, expansion = found.file, found.expansion
    function = next((each for each in file.forward.statements if each.words[:2] == ("CREATE", "FUNCTION")), None)
    name = file.id.partition("_")[2]
    forward = _assigned(function, expansion.new, expansion.old) if function else ""
    back = _assigned(function, expansion.old, expansion.new) if function else ""
    if not forward or not back:
        raise InvalidPlan(
            f"its function does not set {quoted(expansion.new)} and {quoted(expansion.old)} as it was written",
            where=file.path,
            remedy="Write the last step by hand: `./inv migrate --name … --empty` (docs/expand-contract.md).",
        )
    type_ = built.facts.tables[expansion.table].columns[expansion.new].type
    return Change(
        name,
        spelled_name(built.database, name),
        expansion.table,
        expansion.old,
        expansion.new,
        type_,
        forward,
        back,
        can_compare(built.database, type_),
    )


def _assigned(function: Statement, target: str, source: str) -> str:
    """What the function's body assigns to a column of the row, as an expression over the other column."""
    body = next((each for each in function.tokens if each.kind == "dollar"), None)
    if body is None:
        return ""
    text = body.text.split("$", 2)[2].rpartition("$")[0].rpartition("$")[0]
    found = [token for token in tokens(text) if token.kind != "comment"]
    for number in range(len(found) - 5):
        head = found[number : number + 5]
        if (head[0].upper, head[1].text, head[2].identifier, head[3].text, head[4].text) != (
            "NEW",
            ".",
            target,
            ":",
            "=",
        ):
            continue
        end = next(token.start for token in found[number:] if token.text == ";")
        return _without_new(text[head[4].end : end].strip(), source)
    return ""


def _without_new(expression: str, column: str) -> str:
    pieces, position = [], 0
    found = list(tokens(expression))
    for number, token in enumerate(found[:-2]):
        if token.upper == "NEW" and found[number + 1].text == "." and found[number + 2].identifier == column:
            pieces += [expression[position : token.start], identifier(column)]
            position = found[number + 2].end
    return "".join([*pieces, expression[position:]])


def _without_old(text: str, change: Change, column: ColumnFacts) -> str:
    text = with_comment_of(text, change.table, change.new, change.old)
    text = without_items(text, change.table, change.old, {each.name for each in column.constraints})
    if column.default is not None:
        text = with_default(text, change.table, change.new, spelled(column.default))
    gone = {each.name for each in column.constraints} | {each.name for each in column.indexes}
    return without_statements(text, lambda statement: _goes(statement, change, gone))


def _goes(statement: Statement, change: Change, gone: set[str]) -> bool:
    """Whether it makes the trigger, its function, or an index or constraint of the old column."""
    altered, clauses = altered_table(statement)
    if altered:
        return altered == change.table and any(
            each.take("ADD", "CONSTRAINT") and each.name() in gone for each in clauses
        )
    if index := created_index(statement):
        return index.name.rpartition(".")[2] in gone
    phrase = Phrase(statement)
    if not phrase.take("CREATE"):
        return False
    phrase.take("OR", "REPLACE")
    return bool(phrase.take_any("FUNCTION", "TRIGGER")) and phrase.name().rpartition(".")[2] == change.name
