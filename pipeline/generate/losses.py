"""Which statements lose data. The gate compares schemas and cannot see that a column's contents are gone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.generate.spelling import quoted
from pipeline.migrations.phrase import Phrase, altered_table

if TYPE_CHECKING:
    from pipeline.generate.differ import Step
    from pipeline.migrations.sql_text import Statement
    from pipeline.schema.facts import Facts

_DROPS = {
    "DROP TABLE": "table {} with its rows",
    "DROP MATERIALIZED VIEW": "materialized view {} with its contents",
    "DROP SCHEMA": "schema {} with what is in it",
    "DROP SEQUENCE": "sequence {} with its current number",
    "DROP EXTENSION": "extension {} with its types and functions",
    "DROP FOREIGN TABLE": "",
}
_INTEGERS = ("smallint", "integer", "bigint")
_SIZED = {"character varying", "timestamp with time zone", "timestamp without time zone", "bit varying"}
_FAMILIES = (
    {"text", "character varying", "character"},
    {*_INTEGERS, "numeric", "real", "double precision"},
    {"date", "timestamp with time zone", "timestamp without time zone"},
)
_MODIFIER = re.compile(r"\((?P<numbers>[\d, ]+)\)")


def loss_of(step: Step, statement: Statement, before: Facts) -> str:
    """Say what a step loses; empty when it loses nothing."""
    if step.loses_nothing:
        return ""
    phrase = Phrase(statement)
    for words, what in _DROPS.items():
        if phrase.take(*words.split()):
            return what.format(quoted(phrase.name()))
    table, clauses = altered_table(statement)
    for clause in clauses:
        if loss := _loss_of_clause(table, clause, before):
            return loss
    return f"what `{_short(statement.text)}` takes away" if step.destructive else ""


def widens(old: str, new: str) -> bool:
    """Whether every value of the old type is one of the new, and the conversion cannot fail."""
    if old == new:
        return True
    old_base, old_size = _taken_apart(old)
    new_base, new_size = _taken_apart(new)
    if old_base in _INTEGERS and new_base in (*_INTEGERS, "numeric"):
        return not new_size if new_base == "numeric" else _INTEGERS.index(old_base) <= _INTEGERS.index(new_base)
    if new_base == "text":
        return old_base in {"character varying", "uuid", "boolean", *_INTEGERS, "numeric", "inet", "date"}
    if old_base == new_base:
        return not new_size or _fits(old_base, old_size, new_size)
    return (old_base, new_base) in {("real", "double precision"), ("date", "timestamp without time zone")}


def casts_by_itself(old: str, new: str) -> bool:
    """Whether ALTER COLUMN … TYPE needs no USING: the server then refuses a value that does not fit.

    With USING column::varchar(10) it would cut such a value off without a word.
    """
    old_base, new_base = _taken_apart(old)[0], _taken_apart(new)[0]
    return widens(old, new) or any(old_base in family and new_base in family for family in _FAMILIES)


def _loss_of_clause(table: str, clause: Phrase, before: Facts) -> str:
    if clause.take("DROP"):
        if clause.take_any("CONSTRAINT", "EXPRESSION", "IDENTITY"):
            return ""
        clause.take("COLUMN")
        clause.take("IF", "EXISTS")
        return f"column {quoted(table)}.{quoted(clause.name())} with its contents"
    if clause.take("DETACH", "PARTITION"):
        return f"the rows of partition {quoted(clause.name())} from {quoted(table)}"
    if clause.take("ALTER"):
        clause.take("COLUMN")
        column = clause.name()
        if clause.take_any("TYPE", "SET DATA TYPE"):
            return _loss_of_type(table, column, clause, before)
    return ""


def _loss_of_type(table: str, column: str, clause: Phrase, before: Facts) -> str:
    known = before.tables.get(table)
    if known is None or column not in known.columns:
        return ""
    old, new = known.columns[column].type, new_type(clause)
    if widens(old, new) or (_is_enum(old, before) and _taken_apart(new)[0] == "text"):
        return ""
    return f"values of {quoted(table)}.{quoted(column)} that {new} cannot hold (it was {old})"


def _is_enum(type_: str, before: Facts) -> bool:
    return any(quoted(name) == type_ or name == type_ for name in before.enums)


def new_type(clause: Phrase) -> str:
    """Read the type at the start of a clause, up to USING or COLLATE, as format_type writes it but for `public.`."""
    text = clause.rest_text
    cut = len(text)
    for token in clause.rest:
        if token.upper in {"USING", "COLLATE"}:
            cut = token.start - clause.rest[0].start
            break
    return text[:cut].strip().removeprefix("public.")


def _taken_apart(type_: str) -> tuple[str, tuple[int, ...]]:
    match = _MODIFIER.search(type_)
    if match is None:
        return type_, ()
    numbers = tuple(int(number) for number in match["numbers"].split(","))
    return (type_[: match.start()] + type_[match.end() :]).strip(), numbers


def _fits(base: str, old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    if not old:
        return False
    if base != "numeric":
        return base in _SIZED and old[0] <= new[0]
    (old_digits, old_scale), (new_digits, new_scale) = ((*size, 0)[:2] for size in (old, new))
    return new_scale >= old_scale and new_digits - new_scale >= old_digits - old_scale


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:77]}…"
