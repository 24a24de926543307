"""The columns that a statement's SET clauses name, and what they are given: of UPDATE, and of ON CONFLICT DO UPDATE.

A plan has the values of an UPDATE without the names of their columns, so these are read from the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.migrations.sql_text import statements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pipeline.migrations.sql_text import Token

_NAMES = frozenset({"word", "quoted"})
_AFTER_SET = frozenset({"FROM", "WHERE", "RETURNING"})


def assignments(sql: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield each table, by its bare name, and what its columns are given, as `$1` or `now ( )`."""
    for statement in statements(sql):
        tokens = statement.tokens
        target = ""
        for at, token in enumerate(tokens):
            before = tokens[at - 1].upper if at else ""
            if token.upper == "INTO" or (token.upper == "UPDATE" and before not in {"FOR", "KEY", "DO"}):
                target = _bare_name(tokens, at + 1) or target
            elif token.upper == "SET" and token.kind == "word" and target:
                yield target, dict(_given(_clauses(tokens, at + 1)))


def _bare_name(tokens: Sequence[Token], at: int) -> str:
    if at < len(tokens) and tokens[at].upper == "ONLY":
        at += 1
    while at + 2 < len(tokens) and tokens[at + 1].text == ".":
        at += 2
    return tokens[at].identifier if at < len(tokens) and tokens[at].kind in _NAMES else ""


def _clauses(tokens: Sequence[Token], at: int) -> list[list[Token]]:
    """The tokens of each assignment, up to the end of the SET clause."""
    clauses: list[list[Token]] = [[]]
    depth = 0
    for token in tokens[at:]:
        depth += (token.text in {"(", "["}) - (token.text in {")", "]"})
        if depth < 0 or (depth == 0 and token.kind == "word" and token.upper in _AFTER_SET):
            break
        if depth == 0 and token.text == ",":
            clauses.append([])
        else:
            clauses[-1].append(token)
    return clauses


def _given(clauses: Sequence[Sequence[Token]]) -> Iterator[tuple[str, str]]:
    for clause in clauses:
        texts = [token.text for token in clause]
        if "=" not in texts:
            continue
        at = texts.index("=")
        value = " ".join(texts[at + 1 :])
        names = [token.identifier for token in clause[:at] if token.kind in _NAMES]
        if texts[0] == "(":  # (a, b) = ROW ($1, $2)
            yield from ((name, value) for name in names)
        elif names:
            yield names[-1], value
