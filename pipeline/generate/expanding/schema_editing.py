"""Edits of schema.sql that leave every other line as its authors wrote it: a column beside another one, and its removal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbclient.quoting import identifier
from pipeline.errors import InvalidPlan
from pipeline.generate.proposals.online import created_index
from pipeline.generate.style import quoted
from pipeline.lint.source import created_table
from pipeline.migrations.phrase import Phrase
from pipeline.migrations.sql_text import statements

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pipeline.migrations.sql_text import Statement, Token

_TABLE_ITEMS = frozenset({"CONSTRAINT", "CHECK", "UNIQUE", "PRIMARY", "FOREIGN", "EXCLUDE", "LIKE"})
_REST_OF_LINE = re.compile(r"[^\n]*")
_COMMENTS_ABOVE = re.compile(r"(?:^[ \t]*--[^\n]*\n)+\Z", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Item:
    """Something between the parentheses of CREATE TABLE. `start` and `end` are offsets in the whole text, without the comma."""

    name: str  # of the column, or of the constraint
    is_column: bool
    tokens: tuple[Token, ...]
    comma: int  # the offset of the one behind it, or -1 for the last item

    @property
    def start(self) -> int:
        return self.tokens[0].start

    @property
    def end(self) -> int:
        return self.tokens[-1].end


def with_column(text: str, table: str, beside: str, column: str, definition: str) -> str:
    """Put a column behind another one, its type in line with that one's.

    Raises:
        InvalidPlan: no CREATE TABLE defines the other one.
    """
    item = _column(text, table, beside)
    width = item.tokens[1].start - item.start - 1 if len(item.tokens) > 1 else 0
    written = f"{identifier(column).ljust(width)} {definition}"
    return _behind(text, item, written, _items(text, table))


def with_constraints(text: str, table: str, definitions: Sequence[str]) -> str:
    """Put constraints, as `CONSTRAINT name …`, at the end of a table. Raises what `with_column` raises."""
    for definition in definitions:
        items = _items(text, table)
        text = _behind(text, items[-1], definition, items)
    return text


def with_default(text: str, table: str, column: str, default: str) -> str:
    """Give a column a default. Raises what `with_column` raises."""
    item = _column(text, table, column)
    return f"{text[: item.end]} DEFAULT {default}{text[item.end :]}"


def with_comment_of(text: str, table: str, column: str, other: str) -> str:
    """Give a column the comment that stands behind another one, where it has none. Raises what `with_column` raises."""
    comment = _comment_behind(text, _column(text, table, other))
    item = _column(text, table, column)
    if not comment or _comment_behind(text, item):
        return text
    at = max(item.end, item.comma + 1)
    return f"{text[:at]} {comment}{text[at:]}" if text[at : at + 1] == "\n" else text


def without_items(text: str, table: str, column: str, constraints: Collection[str]) -> str:
    """Take a column and these constraints out of a table, each with the comments of its own. Raises what `with_column` raises."""
    _column(text, table, column)
    while gone := [
        each
        for each in _items(text, table)
        if (each.is_column and each.name == column) or (not each.is_column and each.name in constraints)
    ]:
        text = _without_item(text, gone[0], _items(text, table))
    return text


def with_statements_behind(text: str, table: str, additions: Sequence[tuple[str, str]]) -> str:
    """Put statements on a table behind others: pairs of the index that one follows, and the text, without a semicolon."""
    for name, addition in additions:
        after = _index(text, name) or _create_table(text, table)
        at = _end_of_line(text, after.stop)
        text = f"{text[:at]}\n{addition};{text[at:]}"
    return text


def with_statements_at_end(text: str, added: Sequence[str], comment: str) -> str:
    """Put statements at the end of the file, below a comment."""
    return text.rstrip("\n") + f"\n\n-- {comment}\n" + "\n\n".join(f"{each};" for each in added) + "\n"


def without_statements(text: str, is_gone: Callable[[Statement], bool]) -> str:
    """Take statements out, each with the comments directly above it."""
    for statement in reversed(statements(text)):
        if not is_gone(statement):
            continue
        start = text.rfind("\n", 0, statement.start) + 1
        above = _COMMENTS_ABOVE.search(text[:start])
        start = above.start() if above else start
        end = _end_of_line(text, statement.stop)
        before, after = text[:start].rstrip("\n"), text[end:].lstrip("\n")
        gap = "\n\n" if text[end:].startswith("\n\n") or text[:start].endswith("\n\n") else "\n"
        text = f"{before}{gap}{after}" if after else f"{before}\n"
    return text


def index_statement(text: str, name: str) -> str:
    """The CREATE INDEX of this name as it stands there, or empty where it does not."""
    found = _index(text, name)
    return found.text if found else ""


def constraint_text(text: str, table: str, name: str) -> str:
    """`CONSTRAINT name …` as it stands in the CREATE TABLE, or empty where it does not."""
    items = [each for each in _items(text, table) if not each.is_column and each.name == name]
    return text[items[0].start : items[0].end] if items else ""


def _column(text: str, table: str, column: str) -> _Item:
    for item in _items(text, table):
        if item.is_column and item.name == column:
            return item
    raise InvalidPlan(
        f"no CREATE TABLE {quoted(table)} in schema.sql defines {identifier(column)}",
        where="schema.sql",
        remedy="Move the column from the ALTER TABLE that adds it into its CREATE TABLE.",
    )


def _comment_behind(text: str, item: _Item) -> str:
    rest = text[max(item.end, item.comma + 1) : _end_of_line(text, item.end)].strip()
    return rest if rest.startswith("--") else ""


def _create_table(text: str, table: str) -> Statement:
    for statement in statements(text):
        if created_table(statement) == table:
            return statement
    raise InvalidPlan(
        f"no CREATE TABLE {quoted(table)} in schema.sql", where="schema.sql", remedy="Define the table there."
    )


def _items(text: str, table: str) -> list[_Item]:
    statement = _create_table(text, table)
    phrase = Phrase(statement)
    phrase.skip_to("TABLE")
    phrase.take("IF", "NOT", "EXISTS")
    phrase.name()
    if not phrase.take("("):
        return []
    return [_item(statement, clause) for clause in phrase.clauses()]


def _item(statement: Statement, clause: Phrase) -> _Item:
    found = clause.clause_tokens()
    follower = statement.tokens[clause.at + len(found)]
    comma = follower.start if follower.text == "," else -1
    is_column = found[0].kind == "quoted" or found[0].upper not in _TABLE_ITEMS
    is_named = found[0].upper == "CONSTRAINT" and len(found) > 1
    name = found[0].identifier if is_column else (found[1].identifier if is_named else "")
    return _Item(name, is_column, found, comma)


def _index(text: str, name: str) -> Statement | None:
    """The CREATE INDEX of an index, which is named without its schema."""
    for statement in statements(text):
        index = created_index(statement)
        if index is not None and index.name.rpartition(".")[2] == name:
            return statement
    return None


def _behind(text: str, item: _Item, written: str, items: Sequence[_Item]) -> str:
    line = text.rfind("\n", 0, item.start) + 1
    indent = re.match(r"[ \t]*", text[line:])
    new = f"\n{indent[0] if indent and line + len(indent[0]) == item.start else '    '}{written}"
    if item == items[-1]:
        at = _end_of_line(text, item.end)
        on_one_line = ")" in text[item.end : at].partition("--")[0]
        at = item.end if on_one_line else at
        return f"{text[: item.end]},{text[item.end : at]}{new}{text[at:]}"
    at = _end_of_line(text, item.comma + 1)
    follower = items[items.index(item) + 1]
    at = at if at < follower.start else item.comma + 1
    return f"{text[:at]}{new},{text[at:]}"


def _without_item(text: str, item: _Item, items: Sequence[_Item]) -> str:
    number = items.index(item)
    line = text.rfind("\n", 0, item.start) + 1
    start = line if not text[line : item.start].strip() else item.start
    above = _COMMENTS_ABOVE.search(text[:start]) if start == line else None
    start = above.start() if above else start
    if number < len(items) - 1:
        end = _end_of_line(text, item.comma + 1)
        follower = items[number + 1]
        return text[:start] + (text[end + 1 :] if end < follower.start else text[item.comma + 1 :].lstrip(" "))
    text = text[:start] + text[_end_of_line(text, item.end) + 1 :] if start == line else text[:start] + text[item.end :]
    if not number:
        return text
    comma = items[number - 1].comma  # of the one that is the last now
    return text[:comma] + text[comma + 1 :]


def _end_of_line(text: str, at: int) -> int:
    """Where the line ends on which this offset is, its line break not included."""
    match = _REST_OF_LINE.match(text, at)
    return match.end() if match else len(text)
