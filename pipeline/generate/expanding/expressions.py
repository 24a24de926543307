"""Expressions over a column: with a value in its place, as a trigger sees it, and forth and back over the rows that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbclient.quoting import identifier, literal
from pipeline.errors import UsageError
from pipeline.generate.style import quoted
from pipeline.migrations.sql_text import Unterminated, tokens
from pipeline.postgres.connect import open_session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbclient.url import DatabaseURL
    from pipeline.generate.expanding import Change
    from pipeline.migrations.sql_text import Token


def with_value(expression: str, column: str, value: str) -> str:
    """The expression with a value in place of the column."""
    return replaced(expression, tokens(expression), column, value)


def replaced(text: str, found: Iterable[Token], name: str, by: str) -> str:
    """The text with those of its tokens replaced that are this name."""
    pieces, position = [], 0
    for token in found:
        if token.kind in {"word", "quoted"} and token.identifier == name:
            pieces += [text[position : token.start], by]
            position = token.end
    return "".join([*pieces, text[position:]])


def in_trigger(expression: str, column: str) -> str:
    """The expression over the row that a trigger sees."""
    return with_value(expression, column, f"NEW.{identifier(column)}")


def check_expression(text: str, flag: str, column: str) -> str:
    """Give an expression of the command line back, if it is one over this column.

    Raises:
        UsageError: it is none: it does not name the column, or would end the statement that it stands in.
    """
    if not is_expression(text):
        raise UsageError(f"{flag} {text}: no expression", remedy="Write one SQL expression, without a semicolon.")
    if not any(token.kind in {"word", "quoted"} and token.identifier == column for token in tokens(text)):
        raise UsageError(
            f"{flag} {text}: it does not name the column {identifier(column)}",
            remedy=f"Write an SQL expression over it, as {flag} '{identifier(column)}::text'.",
        )
    return text.strip()


def is_expression(text: str) -> bool:
    """Whether the text stays within the place where an expression goes: no statement ends in it, and nothing is left open."""
    try:
        found = [token for token in tokens(text) if token.kind != "comment"]
    except Unterminated:
        return False
    depth = 0
    for token in found:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth < 0 or token.text == ";":
            return False
    return bool(found) and depth == 0


def round_trips(local: DatabaseURL, change: Change) -> tuple[int, int]:
    """How many rows of the local database have a value, and how many of those are not the same forth and back.

    Raises:
        ServerError: an expression fails on a value.
    """
    with open_session(local, application_name="db-pipeline expand") as session:
        if session.run(f"SELECT to_regclass({literal(quoted(change.table))})")[-1].rows[0][0] is None:
            return 0, 0
        rows = session.run(
            f"SELECT count(*), count(*) FILTER (WHERE {does_not_come_back(change)}) "
            f"FROM {quoted(change.table)} WHERE {quoted(change.old)} IS NOT NULL"
        )[-1].rows
    return int(rows[0][0] or 0), int(rows[0][1] or 0)


def does_not_come_back(change: Change) -> str:
    """The condition that a row meets whose value is another one, forth and back."""
    back = with_value(change.back, change.new, f"({with_cast(change)})")
    return f"({back})::text IS DISTINCT FROM {quoted(change.old)}::text"


def with_cast(change: Change) -> str:
    """The new value as the new column has it: assignment casts, as the column does, and an expression alone does not."""
    return change.forward if change.is_rename else f"({change.forward})::{change.type.partition(' COLLATE ')[0]}"
