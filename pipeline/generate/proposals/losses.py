"""What a gate without rows cannot see: which statements lose data, and which fail where there are rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.generate.style import quoted
from pipeline.lint.column_types import new_type, widens
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


def doubt_about(statement: Statement, before: Facts, new_tables: frozenset[str]) -> str:
    """Say why a statement fails on a table that has rows, though it works on the gate's empty one."""
    table, clauses = altered_table(statement)
    if table in new_tables or not before.takes_rows(table):
        return ""
    for clause in clauses:
        if not clause.take("ADD", "COLUMN"):
            continue
        column, words = clause.name(), clause.clause_words()
        required = any(words[at : at + 2] == ("NOT", "NULL") for at in range(len(words)))
        filled = {"DEFAULT", "GENERATED", "SERIAL", "BIGSERIAL"} & set(words)
        if required and not filled:
            return (
                f"{quoted(table)}.{quoted(column)} is NOT NULL and has no default, so adding it fails on every table "
                "that has rows. Give it a default in schema.sql; or write here: add it without NOT NULL, fill it, add "
                "a CHECK (… IS NOT NULL) NOT VALID, and in a second file validate that and SET NOT NULL."
            )
    return ""


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
    if widens(old, new) or (_is_enum(old, before) and new == "text"):
        return ""
    return f"values of {quoted(table)}.{quoted(column)} that {new} cannot hold (it was {old})"


def _is_enum(type_: str, before: Facts) -> bool:
    return any(quoted(name) == type_ or name == type_ for name in before.enums)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:77]}…"
