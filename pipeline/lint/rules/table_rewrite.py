"""table-rewrite: every row written again, under a lock that stops everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lint.column_types import rewrites
from pipeline.lint.definitions import read_column, read_constraint, type_text
from pipeline.lint.effect import EXPAND, holds
from pipeline.lint.expressions import volatile_call
from pipeline.lint.phrase import Phrase, altered_table, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.lint.finding import Finding
    from pipeline.lint.model import Schema
    from pipeline.lint.source import Source
    from pipeline.migrations.sql_text import Token


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
