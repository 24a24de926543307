"""UPDATE and DELETE as rules ask about them: of which table, and of how many rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.lint.expressions import conjuncts
from pipeline.migrations.phrase import Phrase

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.lint.model import Schema
    from pipeline.migrations.sql_text import Token

_WHERE_ENDS = {"RETURNING", "ORDER"}


@dataclass(frozen=True, slots=True)
class RowChange:
    """A change of rows that are there: UPDATE, DELETE or a MERGE that does one of them."""

    verb: str
    table: str
    has_where: bool
    is_bounded: bool


def row_changes(phrase: Phrase, schema: Schema) -> Iterator[RowChange]:
    """Yield the changes that a statement makes, those in its WITH included."""
    words = phrase.statement.words
    if words[0] == "MERGE" and phrase.take("MERGE", "INTO"):
        phrase.take("ONLY")
        table = phrase.name()
        if {"UPDATE", "DELETE"} & set(words):
            yield RowChange("UPDATE", table, has_where=True, is_bounded="LIMIT" in words)
        return
    if words[0] not in {"UPDATE", "DELETE", "WITH"}:
        return
    for number, word in enumerate(words):
        starts = number == 0 or words[number - 1] in {"(", ")"}
        if starts and word in {"UPDATE", "DELETE"} and (words[0] == "WITH" or number == 0):
            yield _read(Phrase(phrase.statement, number), schema)


def _read(phrase: Phrase, schema: Schema) -> RowChange:
    verb = phrase.take_any("UPDATE", "DELETE FROM").split()[0]
    phrase.take("ONLY")
    table = phrase.name()
    end = _end(phrase)
    inside = Phrase(phrase.statement, phrase.at)
    has_where = inside.skip_to("WHERE") and inside.at <= end
    condition = phrase.statement.tokens[inside.at : end] if has_where else ()
    bounded = any(token.upper == "LIMIT" for token in condition) or _has_whole_key(condition, table, schema)
    if any(token.upper == "CURRENT" for token in condition[:1]):
        bounded = True  # WHERE CURRENT OF a cursor: one row
    return RowChange(verb, table, has_where, bounded or any(token.upper == "LIMIT" for token in _head(phrase, end)))


def _head(phrase: Phrase, end: int) -> Sequence[Token]:
    """What stands before: a FROM or USING whose query has a LIMIT bounds the change, too."""
    return phrase.statement.tokens[phrase.at : end]


def _end(phrase: Phrase) -> int:
    depth = 0
    for number in range(phrase.at, len(phrase.statement.tokens)):
        token = phrase.statement.tokens[number]
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth < 0 or (depth == 0 and token.kind == "word" and token.upper in _WHERE_ENDS):
            return number
    return len(phrase.statement.tokens)


def _has_whole_key(condition: Sequence[Token], table: str, schema: Schema) -> bool:
    """Whether each column of a unique key is given its value or a list of values."""
    given = {name for part in conjuncts(condition) if (name := _given(part))}
    return any(set(key) <= given for key in _keys(table, schema) if key)


def _keys(table: str, schema: Schema) -> Iterator[tuple[str, ...]]:
    relation = schema.relation(table)
    yield from (each.columns for each in relation.constraints.values() if each.kind in {"primary key", "unique"})
    yield from (each.columns for each in schema.indexes.values() if each.table == table and each.unique)
    if not relation.is_read:
        yield ("id",)  # the usual key, where no file says another


def _given(part: Sequence[Token]) -> str:
    """The column that this part of a condition gives a value: `id = …`, `id IN ('a', 'b')`, `t.id = ANY (…)`."""
    while len(part) > 2 and part[1].text == ".":
        part = part[2:]
    if len(part) < 3 or part[0].kind not in {"word", "quoted"}:
        return ""
    if part[1].text == "=":
        return "" if any(token.upper == "SELECT" for token in part) else part[0].identifier
    is_list = part[1].upper == "IN" and not any(token.upper == "SELECT" for token in part)
    return part[0].identifier if is_list else ""
