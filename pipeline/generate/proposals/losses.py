"""What a gate without rows cannot see: which statements lose data, and which fail where there are rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.generate.style import quoted
from pipeline.lint import losses
from pipeline.migrations.phrase import altered_table

if TYPE_CHECKING:
    from pipeline.generate.differ import Step
    from pipeline.migrations.phrase import Phrase
    from pipeline.migrations.sql_text import Statement
    from pipeline.schema.facts import Facts


def loss_of(step: Step, statement: Statement, before: Facts) -> str:
    """Say what a step loses; empty when it loses nothing."""
    if step.loses_nothing:
        return ""

    def type_of(table: str, column: str) -> str | None:
        known = before.tables.get(table)
        return known.columns[column].type if known is not None and column in known.columns else None

    loss = losses.loss_of(statement, type_of, before.enums)
    if loss is None:
        return f"what `{_short(statement.text)}` takes away" if step.destructive else ""
    return loss


def doubt_about(statement: Statement, before: Facts, new_tables: frozenset[str]) -> str:
    """Say why a statement fails on a table that has rows, though it works on the gate's empty one."""
    table, clauses = altered_table(statement)
    if table in new_tables or not before.takes_rows(table):
        return ""
    for clause in clauses:
        if not clause.take("ADD", "COLUMN"):
            continue
        column = clause.name()
        if is_required(clause):
            return (
                f"{quoted(table)}.{quoted(column)} is NOT NULL and has no default, so adding it fails on every table "
                f"that has rows. Say what those get: --fill {table}.{column}=VALUE writes the steps in place of these files. Or "
                "give it a default in schema.sql; or write here: add it without NOT NULL, fill it, add "
                "a CHECK (… IS NOT NULL) NOT VALID, and in a second file validate that and SET NOT NULL."
            )
    return ""


def is_required(definition: Phrase) -> bool:
    """Whether a column's definition, behind its name, asks for a value and gives none."""
    words = definition.clause_words()
    required = any(words[at : at + 2] == ("NOT", "NULL") for at in range(len(words)))
    return required and not {"DEFAULT", "GENERATED", "SERIAL", "BIGSERIAL"} & set(words)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:77]}…"
