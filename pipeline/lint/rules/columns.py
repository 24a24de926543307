"""Columns: what a change of one costs, and what the running release still needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.column_types import rewrites
from pipeline.lint.definitions import named, read_added, read_column, read_constraint, type_text
from pipeline.lint.expressions import proves_not_null, volatile_call
from pipeline.lint.finding import EXPAND, NOT_TRANSACTIONAL, holds, while_reading
from pipeline.migrations.phrase import Phrase, altered_table, contains, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.model import Relation, Schema
    from pipeline.lint.source import Source
    from pipeline.migrations.sql_text import Token


# adding-required-field: a column that no row of the table can have.


def adding_required_field(source: Source) -> Iterable[Finding]:
    """ADD COLUMN … NOT NULL without a default, to a table in use."""
    for step, table, clause in source.altered:
        if not clause.take("ADD") or read_constraint(clause) is not None:
            continue
        clause.take("COLUMN")
        clause.take("IF", "NOT", "EXISTS")
        words = clause.clause_words()
        column, _ = read_column(clause)
        is_filled = column.default or column.numbers_rows or column.is_stored
        if is_filled or not (column.not_null and contains(words, "NOT", "NULL")):
            continue
        yield source.at(
            step,
            "adding-required-field",
            f"it fails as soon as {quoted(table)} has a row, and until it has one, services that do not know the column "
            "cannot insert any",
            f"Give it a default: … NOT NULL DEFAULT …; or ALTER TABLE {quoted(table)} ADD COLUMN {quoted(column.name)} "
            f"{column.type}; then fill it, and make it NOT NULL by a validated check (rule set-not-null).",
        )


# adding-serial-primary-key-field: a primary key whose index is built while nobody can use the table.


def adding_serial_primary_key_field(source: Source) -> Iterable[Finding]:
    """ADD a primary key that builds its index, to a table in use; also inside of ADD COLUMN."""
    for step, table, clause in source.altered:
        key = next((each for each in read_added(clause)[1] if each.kind == "primary key"), None)
        if key is None or key.using_index:
            continue
        name, columns = quoted(named(key, table).name), ", ".join(map(quoted, key.columns))
        yield source.at(
            step,
            "adding-serial-primary-key-field",
            f"it {holds('ACCESS EXCLUSIVE', table, while_reading(table))}, and the index of the key is built",
            f"Make the columns NOT NULL first (rule set-not-null), and build the index {NOT_TRANSACTIONAL}: CREATE UNIQUE "
            f"INDEX CONCURRENTLY {name} ON {quoted(table)} ({columns}); then ALTER TABLE {quoted(table)} ADD CONSTRAINT "
            f"{name} PRIMARY KEY USING INDEX {name};",
        )


# ban-drop-default: an INSERT that leaves the column out.


def ban_drop_default(source: Source) -> Iterable[Finding]:
    """ALTER COLUMN … DROP DEFAULT on a table in use, where the same deploy gives the column none again."""
    for step, table, name, clause in source.altered_columns:
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


# set-not-null: a scan of the table under the strongest lock, unless a validated check has done it before.


def set_not_null(source: Source) -> Iterable[Finding]:
    """ALTER COLUMN … SET NOT NULL on a table in use, where no valid CHECK says that this column is not null.

    PostgreSQL skips the scan when one does (documentation of ALTER TABLE). The check may be in an earlier file.
    """
    for step, table, column, clause in source.altered_columns:
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


# table-rewrite: every row written again, under a lock that stops everybody.


def table_rewrite(source: Source) -> Iterable[Finding]:
    """Find what makes PostgreSQL write a table in use again, by the notes of ALTER TABLE in its documentation."""
    for step in source.running:
        table, clauses = altered_table(step.statement)
        if table:
            found = [(table, why) for clause in clauses if (why := _why(clause, table, step.before))]
        else:
            found = _whole_table_command(Phrase(step.statement))
        for name, why in found:
            if step.before.in_use(name):
                yield source.at(
                    step,
                    "table-rewrite",
                    f"{why}, so every row is written again: it "
                    f"{holds('ACCESS EXCLUSIVE', name, 'until that is done and the file is committed')}. The table needs its "
                    "own size in storage once more, which counts against Neon's quota",
                    f"{EXPAND}: ALTER TABLE {quoted(name)} ADD COLUMN …; (null, or with a constant default), filled in steps, "
                    "then the switch. For a small table, ignore this rule with its size as the reason.",
                )
                break


def _why(clause: Phrase, table: str, before: Schema) -> str:
    if clause.take("ADD"):
        if read_constraint(clause) is not None:
            return ""
        clause.take("COLUMN")
        clause.take("IF", "NOT", "EXISTS")
        return _about_new_column(clause, before)
    if clause.take("ALTER"):
        clause.take("COLUMN")
        name = clause.name()
        return _about_type(clause, table, name, before) if name and clause.take_any("TYPE", "SET DATA TYPE") else ""
    if clause.take_any("SET LOGGED", "SET UNLOGGED", "SET ACCESS METHOD"):
        return "the table moves to another storage"
    if clause.take("SET", "TABLESPACE"):
        return "the table moves to another place"
    return ""


def _about_type(clause: Phrase, table: str, name: str, before: Schema) -> str:
    new, using = _type_and_using(clause.clause_tokens())
    column = before.relation(table).columns.get(name)
    old = column.type if column else ""
    bound = before.types.get(new)
    if _is_plain(using, name, new) and bound is None and not rewrites(old, new):
        return ""
    return (
        f"the type changes from {old} to {new}" if old else f"the type changes to {new} (from what, no file here says)"
    )


def _is_plain(using: tuple[Token, ...], column: str, type_: str) -> bool:
    """Whether USING says what happens without it: the column, or the column cast to the type."""
    if not using:
        return True
    cast = [token.text for token in using[1:3]] == [":", ":"] and type_text(using[3:]) == type_
    return using[0].identifier == column and (len(using) == 1 or cast)


def _type_and_using(tokens: tuple[Token, ...]) -> tuple[str, tuple[Token, ...]]:
    end = len(tokens)
    using: tuple[Token, ...] = ()
    for number, token in enumerate(tokens):
        if token.kind == "word" and token.upper in {"USING", "COLLATE"}:
            end = min(end, number)
        if token.kind == "word" and token.upper == "USING":
            using = tokens[number + 1 :]
            break
    return type_text(tokens[:end]), using


def _about_new_column(clause: Phrase, before: Schema) -> str:
    column, _ = read_column(clause)
    if column.numbers_rows:
        return "the new column numbers the rows"
    if column.is_stored:
        return "the new column is computed for each row"
    type_ = before.types.get(column.type.removeprefix("public."))
    if type_ is not None and type_.has_constraints:
        return f"the new column is of {column.type}, a domain with constraints"
    call = volatile_call(column.default, before)
    return f"{call}() is volatile and gives another value for each row" if call else ""


def _whole_table_command(phrase: Phrase) -> list[tuple[str, str]]:
    if phrase.take("CLUSTER"):
        return [(phrase.name() or "every table", "CLUSTER puts the rows in order")]
    if not phrase.take("VACUUM") or "FULL" not in phrase.statement.words:
        return []
    phrase.group()
    while phrase.take_any("FULL", "FREEZE", "VERBOSE", "ANALYZE"):
        pass
    return [(name, "VACUUM FULL packs the rows") for name in phrase.names()] or [
        ("every table", "VACUUM FULL packs them")
    ]


RULES = (adding_required_field, adding_serial_primary_key_field, ban_drop_default, set_not_null, table_rewrite)
