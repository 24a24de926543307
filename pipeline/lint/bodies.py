"""The statements inside a DO block and a function's body, and those that EXECUTE puts together there.

Good enough to see what is done, not how: every branch of an IF counts as taken. A name that is only known at run time is
written as "?" (UNKNOWN).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.migrations.sql_text import Statement, Token, Unterminated, statements, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

UNKNOWN = "?"
_VERBS = {
    "ALTER", "ANALYZE", "CALL", "CLUSTER", "COMMENT", "COPY", "CREATE", "DEALLOCATE", "DELETE", "DISCARD", "DO", "DROP",
    "EXECUTE", "GRANT", "INSERT", "LISTEN", "LOAD", "LOCK", "MERGE", "NOTIFY", "PERFORM", "PREPARE", "REASSIGN", "REFRESH",
    "REINDEX", "RESET", "REVOKE", "SECURITY", "SELECT", "SET", "TRUNCATE", "UNLISTEN", "UPDATE", "VACUUM", "WITH", "IMPORT",
}  # fmt: skip
# Behind these a statement may start, within what stands between two semicolons (documentation of PL/pgSQL).
_CONTROL = {"BEGIN", "THEN", "ELSE", "LOOP", "IN", "QUERY", "FOR", "ATOMIC"}
_LANGUAGES = {"plpgsql", "sql"}
_FORMAT = re.compile(r"%(?:(?P<number>\d+)\$)?-?\d*(?P<kind>[sIL%])")
_TOP = {"DO", "CREATE"}


def body_of(statement: Statement) -> tuple[Statement, ...]:
    """Give the statements in the body of a DO block, a function or a procedure; none for any other statement.

    Their offsets and lines are those of the whole file, as far as the body stands there as it is.
    """
    words = statement.words
    if words[0] not in _TOP or not (words[0] == "DO" or {"FUNCTION", "PROCEDURE"} & set(words[1:4])):
        return ()
    if _language(statement) not in _LANGUAGES:
        return ()
    body = _body_token(statement)
    if body is not None:
        try:
            inside = [token for token in tokens(_content(body)[0]) if token.kind != "comment"]
        except Unterminated:
            return ()
        content, shift = _content(body)
        base = body.start + shift
        moved = [Token(token.kind, token.text, token.start + base) for token in inside]
        return tuple(_found(moved, content, base, statement))
    return tuple(_found(list(statement.tokens), statement.text, statement.start, statement, atomic=True))


def _language(statement: Statement) -> str:
    for before, token in zip(statement.tokens, statement.tokens[1:], strict=False):
        if before.upper == "LANGUAGE":
            return token.identifier.strip("'")
    return "plpgsql" if statement.words[0] == "DO" else "sql"


def _body_token(statement: Statement) -> Token | None:
    """The string that holds the body: behind AS for a function, the first one for DO."""
    is_do = statement.words[0] == "DO"
    for number, token in enumerate(statement.tokens):
        behind_as = number > 0 and statement.tokens[number - 1].upper == "AS"
        if token.kind in {"dollar", "string"} and (behind_as or (is_do and statement.words[number - 1] != "LANGUAGE")):
            return token
    return None


def _content(token: Token) -> tuple[str, int]:
    """What a string token holds, and how far behind the token's start it begins."""
    if token.kind == "dollar":
        tag = token.text[: token.text.index("$", 1) + 1]
        return token.text[len(tag) : -len(tag)], len(tag)
    quote = token.text.index("'")
    return token.text[quote + 1 : -1].replace("''", "'"), quote + 1


def _found(
    inside: list[Token], text: str, base: int, around: Statement, *, atomic: bool = False
) -> Iterator[Statement]:
    depth, part, started = 0, list[Token](), not atomic
    for token in [*inside, Token("symbol", ";", base + len(text))]:
        started = started or token.upper == "ATOMIC"
        if not started:
            continue
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.text == ";" and depth <= 0:
            yield from _of_part(part, text, base, around)
            part, depth = [], 0
        else:
            part.append(token)


def _of_part(part: list[Token], text: str, base: int, around: Statement) -> Iterator[Statement]:
    """What stands between two semicolons: control words, and perhaps a statement behind them."""
    start, depth = None, 0
    for number, token in enumerate(part):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        opens = number == 0 or part[number - 1].upper in _CONTROL or part[number - 1].text == ">"
        if start is None and depth == 0 and opens and token.kind == "word" and token.upper in _VERBS:
            start = number
        elif start is not None and depth == 0 and token.upper == "LOOP" and part[start - 1].upper == "IN":
            yield from _statement(part[start:number], text, base, around)
            start = None
    if start is not None:
        yield from _statement(part[start:], text, base, around)


def _statement(part: list[Token], text: str, base: int, around: Statement) -> Iterator[Statement]:
    first, last = part[0].start, part[-1].end
    line = around.line + around.text.count("\n", 0, max(first - around.start, 0))
    if part[0].upper == "EXECUTE":
        yield from _executed(part[1:], first, line)
        return
    found = text[first - base : last - base]
    if part[0].upper == "PERFORM":  # a SELECT, under a name of the same length with its space
        found = f"SELECT {found[len('SELECT ') :]}"
    yield Statement(found, first, line, last)


def _executed(expression: Sequence[Token], start: int, line: int) -> Iterator[Statement]:
    """The statements in what EXECUTE puts together: literals as they are, everything else as an unknown name."""
    try:
        found = statements(_put_together(expression))
    except Unterminated:
        return
    for statement in found:
        yield Statement(statement.text, start, line, start + len(statement.text))


def _put_together(expression: Sequence[Token]) -> str:
    if len(expression) > 2 and expression[0].upper == "FORMAT" and expression[1].text == "(":
        return _formatted(expression[2:])
    parts, depth = [], 0
    for token in expression:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.upper in {"USING", "INTO"}:
            break
        if token.kind in {"string", "dollar"}:
            parts.append(_content(token)[0])
        elif depth == 0 and token.kind in {"word", "quoted"}:
            parts.append(f' "{UNKNOWN}" ')
    return "".join(parts)


def _formatted(inside: Sequence[Token]) -> str:
    """The first argument of format(), with literal arguments in place of what stands for them."""
    if inside[0].kind not in {"string", "dollar"}:
        return ""
    arguments, depth = list[list[Token]](), 0
    for token in inside[1:]:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth < 0:
            break
        if token.text == "," and depth == 0:
            arguments.append([])
        elif arguments:
            arguments[-1].append(token)
    count = iter(range(len(arguments)))

    def filled(match: re.Match[str]) -> str:
        if match["kind"] == "%":
            return "%"
        at = int(match["number"]) - 1 if match["number"] else next(count, -1)
        given = arguments[at] if 0 <= at < len(arguments) else []
        literal = _content(given[0])[0] if len(given) == 1 and given[0].kind in {"string", "dollar"} else None
        if match["kind"] == "L":
            return "'{}'".format((literal or UNKNOWN).replace("'", "''"))
        if match["kind"] == "s" and literal is not None:
            return literal
        return f'"{literal or UNKNOWN}"'

    return _FORMAT.sub(filled, _content(inside[0])[0])
