"""What an expression of a default or a check says, as far as a rule needs to know."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.lint.model import Schema
    from pipeline.migrations.sql_text import Token

# The functions of the server itself that give one value for all rows of a statement (pg_proc.provolatile is not v in any
# form of the name). data/constant_functions.txt is the answer of PostgreSQL 16 to this; a test compares them.
CONSTANT_FUNCTIONS = """
SELECT proname FROM pg_catalog.pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND NOT proretset
  AND NOT ('internal'::regtype = ANY (proargtypes::oid[])) AND prorettype NOT IN ('internal'::regtype, 'trigger'::regtype)
GROUP BY proname HAVING bool_and(provolatile <> 'v') ORDER BY proname COLLATE "C"
"""
# What looks like a function and is part of the grammar (documentation: "Conditional Expressions", "Row and Array
# Comparisons", "XML Functions"), or a keyword of a call that the parser turns into one of pg_proc.
_GRAMMAR = {
    "all", "any", "array", "case", "cast", "coalesce", "current_date", "current_time", "current_timestamp", "exists",
    "extract", "filter", "greatest", "grouping", "in", "interval", "json_array", "json_object", "json_scalar", "least",
    "localtime", "localtimestamp", "normalize", "not", "nullif", "overlay", "position", "row", "select", "some", "substring",
    "then", "treat", "trim", "values", "when", "xmlattributes", "xmlconcat", "xmlelement", "xmlforest", "xmlparse",
    "xmlpi", "and", "or", "else", "is", "between", "like", "ilike", "from", "where", "by", "over", "within", "using", "on",
}  # fmt: skip
_BEFORE_TYPE = {"::", "AS"}


@cache
def constant_functions() -> frozenset[str]:
    """Give the names of PostgreSQL's own functions that are stable or immutable in every form."""
    text = files("pipeline.lint").joinpath("data/constant_functions.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def volatile_call(expression: Sequence[Token], schema: Schema) -> str:
    """Name the first function in an expression that may give another value for each row; empty when there is none.

    A function that nobody knows counts as one: CREATE FUNCTION makes it VOLATILE unless it says otherwise.
    """
    for number, token in enumerate(expression[:-1]):
        if expression[number + 1].text != "(" or token.kind not in {"word", "quoted"} or _is_type(expression, number):
            continue
        name = token.identifier
        qualified = number >= 2 and expression[number - 1].text == "."
        first = expression[number - 2].identifier if qualified else ""
        if not qualified and token.kind == "word" and name in _GRAMMAR:
            continue
        full = f"{first}.{name}" if first not in {"", "public", "pg_catalog"} else name
        if first != "pg_catalog" and full in schema.routines:
            if schema.routines[full].volatility == "v":
                return full
        elif name not in constant_functions() or full != name:
            return full
    return ""


def proves_not_null(check: Sequence[Token], column: str) -> bool:
    """Whether a check says, among what it joins by AND, that the column is not null: PostgreSQL then skips the scan."""
    return any(_is_not_null(each, column) for each in conjuncts(check))


def conjuncts(expression: Sequence[Token]) -> list[tuple[Token, ...]]:
    """Take an expression apart at its ANDs, also inside of parentheses that stand around all of it or of a part."""
    expression = _bare(expression)
    parts: list[list[Token]] = [[]]
    depth, between = 0, False
    for token in expression:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        word = token.upper if token.kind == "word" else ""
        if depth == 0 and word == "OR":
            return [tuple(expression)]
        between = between or (depth == 0 and word == "BETWEEN")
        if depth == 0 and word == "AND" and not between:
            parts.append([])
            continue
        between = between and not (depth == 0 and word == "AND")
        parts[-1].append(token)
    if len(parts) == 1:
        return [tuple(parts[0])]
    return [each for part in parts for each in conjuncts(part)]


def _is_not_null(part: Sequence[Token], column: str) -> bool:
    part = _bare(part)
    words = [token.upper for token in part]
    return len(part) == 4 and part[0].identifier == column and words[1:] == ["IS", "NOT", "NULL"]


def _bare(expression: Sequence[Token]) -> Sequence[Token]:
    """Take off the parentheses that stand around the whole."""
    while len(expression) > 2 and expression[0].text == "(" and _closes(expression) == len(expression) - 1:
        expression = expression[1:-1]
    return expression


def _closes(tokens: Iterable[Token]) -> int:
    depth = 0
    for number, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0:
            return number
    return -1


def _is_type(expression: Sequence[Token], number: int) -> bool:
    """Whether the name stands where a type does, as in `x::numeric(10, 2)` and CAST(x AS varchar(3))."""
    before = number - 1
    while before >= 1 and expression[before].text == ".":
        before -= 2
    if before < 0:
        return False
    colons = before >= 1 and expression[before].text == ":" and expression[before - 1].text == ":"
    return colons or expression[before].upper in _BEFORE_TYPE or expression[before].text == "::"
