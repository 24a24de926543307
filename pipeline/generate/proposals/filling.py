"""A column that has to have a value where rows have none: they get one batch by batch before the rule is checked.

What the value is only a person knows (`--fill Message.pinned=false`), or the column's default says it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import UsageError
from pipeline.generate.expanding.expressions import is_expression
from pipeline.generate.new_migrations import Batch, NewStatement, SplitStatement
from pipeline.generate.proposals.losses import is_required
from pipeline.generate.proposals.online import not_null_check, not_null_name, not_null_steps
from pipeline.generate.row_key import read_row_key
from pipeline.generate.style import quoted, spelled
from pipeline.migrations.phrase import altered_table
from pipeline.postgres.connect import open_session
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbclient.url import DatabaseURL
    from pipeline.migrations.sql_text import Statement
    from pipeline.schema.facts import Facts

_FILLED = "The rows that have no value get theirs, while services go on: they have to write it by now."


@dataclass(frozen=True, slots=True)
class Fill:
    """What a column's rows without a value get, and the columns of the key by which they are gone through."""

    value: str
    key: tuple[str, ...]


Fills = dict[tuple[str, str], Fill]


def fills_for(texts: Sequence[str], database: DatabaseURL, before: Facts, desired: Facts, local: DatabaseURL) -> Fills:
    """The fills that are asked for, as TABLE.COLUMN=VALUE, and those of columns with a default that local rows have none of.

    `database` has what the migrations build.

    Raises:
        UsageError: one of them names no column that gets required, or is no expression.
    """
    required = {
        (name, column)
        for name, table in desired.tables.items()
        for column, known in table.columns.items()
        if before.takes_rows(name) and known.not_null and not _is_required(before, name, column)
    }
    asked = dict(_taken_apart(text, required) for text in texts)
    by_default = {
        (table, column): "DEFAULT"
        for table, column in sorted(required - asked.keys())
        if column in before.tables[table].columns and desired.tables[table].columns[column].has_default
    }
    values = asked | {each: value for each, value in by_default.items() if _has_nulls(local, *each)}
    if not values:
        return {}
    with open_session(database, application_name="db-pipeline fill") as session:
        found: Fills = {}
        for (table, column), value in values.items():
            if key := read_row_key(session, table, without=column):
                found[table, column] = Fill(value, key)
            elif (table, column) in asked:
                raise UsageError(
                    f"--fill {table}.{column}: the table has no unique key without nulls to go through its rows by",
                    remedy="Write the steps by hand: `./inv migrate --name … --empty`.",
                )
    return found


def split_filled(statement: Statement, fills: Mapping[tuple[str, str], Fill]) -> SplitStatement | None:
    """Treat ADD COLUMN … NOT NULL and SET NOT NULL of a column that is filled; None for anything else."""
    table, clauses = altered_table(statement)
    if len(clauses) != 1:
        return None
    clause = clauses[0]
    added: tuple[NewStatement, ...] = ()
    alter = f"ALTER TABLE {quoted(table)}"
    if clause.take("ADD", "COLUMN"):
        column = clause.name()
        if not is_required(clause):
            return None
        added = (NewStatement(spelled(_without_not_null(statement)), undo=(f"{alter} DROP COLUMN {quoted(column)}",)),)
    elif clause.take("ALTER", "COLUMN"):
        column = clause.name()
        if not clause.take("SET", "NOT", "NULL"):
            return None
    else:
        return None
    fill = fills.get((table, column))
    if fill is None:
        return None
    left = f"{quoted(column)} IS NULL"
    batch = Batch(quoted(table), ",".join(map(quoted, fill.key)), f"SELECT count(*) FROM {quoted(table)} WHERE {left}")
    update = f"UPDATE {quoted(table)} SET {quoted(column)} = {fill.value}\n WHERE {left} AND /* batch */ true"
    return SplitStatement(
        not_null_name(table, column),
        transactional=added,
        filling=((NewStatement(update, _FILLED, undo=("SELECT 1",)), batch),),
        checked=(not_null_check(table, column),),
        finishing=not_null_steps(table, column),
    )


def _without_not_null(statement: Statement) -> str:
    at = next(n for n in range(len(statement.words)) if statement.words[n : n + 2] == ("NOT", "NULL"))
    start, end = (statement.tokens[at - 1].end - statement.start, statement.tokens[at + 1].end - statement.start)
    return statement.text[:start] + statement.text[end:]


def _is_required(facts: Facts, table: str, column: str) -> bool:
    known = facts.tables[table].columns.get(column)
    return known is not None and known.not_null


def _taken_apart(text: str, required: set[tuple[str, str]]) -> tuple[tuple[str, str], str]:
    named, equals, value = text.partition("=")
    table, _, column = named.strip().rpartition(".")
    if not equals or (table, column) not in required:
        names = ", ".join(sorted(f"{each}.{other}" for each, other in required)) or "no column"
        raise UsageError(
            f"--fill {text}: not of the form TABLE.COLUMN=VALUE with a column that schema.sql newly asks to be NOT NULL",
            remedy=f"There is: {names}.",
        )
    if not is_expression(value):
        raise UsageError(f"--fill {text}: no expression", remedy="Write one SQL expression, without a semicolon.")
    return (table, column), value.strip()


def _has_nulls(local: DatabaseURL, table: str, column: str) -> bool:
    try:
        with open_session(local, application_name="db-pipeline fill") as session:
            sql = f"SELECT EXISTS (SELECT FROM {quoted(table)} WHERE {quoted(column)} IS NULL)"
            return session.run(sql)[-1].rows[0][0] == "t"
    except ServerError:  # not built there
        return False
