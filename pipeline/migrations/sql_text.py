"""SQL text taken apart as PostgreSQL's own scanner does: tokens, statements, and what was left open.

The rules are those of the documentation's "Lexical Structure" chapter: nested block comments, dollar quotes,
E'' strings with backslashes, doubled quotes; and psql's for where a statement ends: not inside parentheses and not
inside the body of a BEGIN ATOMIC function.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a token can start with. Order matters: a comment before an operator, E'' before a word. A name holds letters, digits,
# _ and everything beyond ASCII; its classes name what it does not hold, since a class with a range up to U+10FFFF takes
# milliseconds to compile.
_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<line_comment>--[^\n]*)
      | (?P<block_comment>/\*)
      | (?P<escape_string>[eE]'(?:[^'\\]|\\.|'')*')
      | (?P<open_escape_string>[eE]')
      | (?P<string>(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')
      | (?P<open_string>(?:[bBxXnN]|[uU]&)?')
      | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*")
      | (?P<open_quoted>(?:[uU]&)?")
      | (?P<dollar>\$(?:[^\x00-@\[-^`{-\x7f][^\x00-/:-@\[-^`{-\x7f]*)?\$)
      | (?P<word>[^\x00-@\[-^`{-\x7f][^\x00-\#%-/:-@\[-^`{-\x7f]*)
      | (?P<number>\$?\d[\w.]*)
      | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_LEFT_OPEN = {
    "open_escape_string": "string",
    "open_string": "string",
    "open_quoted": "quoted identifier",
}


# What opens or closes a level in the body of a BEGIN ATOMIC function.
_BODY_WORDS = frozenset({"ATOMIC", "CASE", "END"})


class Unterminated(ValueError):
    """A quote or comment that the text never closes. `what` names it, `line` (from 1) is where it starts."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(f"unterminated {what}")
        self.what = what
        self.line = line


class Token(NamedTuple):
    """One token: `kind` is word, quoted, string, dollar (a dollar-quoted string), number, symbol or comment."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """The offset just behind the token."""
        return self.start + len(self.text)

    @property
    def upper(self) -> str:
        """A word in upper case, for comparing with keywords; anything else as it stands."""
        return self.text.upper() if self.kind == "word" else self.text

    @property
    def identifier(self) -> str:
        """The name that a word or a quoted identifier means: folded to lower case, or with its quotes undone."""
        if self.kind == "quoted":
            return self.text[self.text.index('"') + 1 : -1].replace('""', '"')
        return self.text.lower()


@dataclass(frozen=True)
class Statement:
    """One statement: its text without the semicolon and the comments around it, and where it starts."""

    text: str
    start: int  # offset in the whole text
    line: int  # from 1
    tokens: tuple[Token, ...]  # without comments

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Every token in upper case where it is a keyword or a bare name: what rules match against."""
        return tuple(token.upper for token in self.tokens)


def tokens(text: str) -> Iterator[Token]:
    """Yield every token of the text but white space, comments included.

    Raises:
        Unterminated: a quote or comment is never closed.
    """
    position, end = 0, len(text)
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:  # pragma: no cover - the last alternative takes any character
            raise AssertionError(position)
        kind = match.lastgroup or ""
        stop = match.end()
        if kind in _LEFT_OPEN:
            raise Unterminated(_LEFT_OPEN[kind], line_of(text, position))
        if kind == "block_comment":
            stop = _block_comment_end(text, position)
        elif kind == "dollar":
            close = text.find(match.group(), stop)
            if close < 0:
                raise Unterminated(f"dollar-quoted string {match.group()}", line_of(text, position))
            stop = close + len(match.group())
        if kind != "space":
            yield Token(_kind(kind), text[position:stop], position)
        position = stop


def statements(text: str) -> list[Statement]:
    """The text's statements, in order; empty ones (a lone semicolon) are left out.

    Raises:
        Unterminated: a quote or comment is never closed.
    """
    found: list[Statement] = []
    current: list[Token] = []
    depth = _Depth()
    for token in tokens(text):
        if token.kind == "comment":
            continue
        if token.text == ";" and depth.is_outside:
            _add(found, text, current)
            current, depth = [], _Depth()
            continue
        current.append(token)
        depth.follow(token, current)
    _add(found, text, current)
    return found


def line_of(text: str, offset: int) -> int:
    """The line (from 1) of an offset."""
    return text.count("\n", 0, offset) + 1


class _Depth:
    """Whether a semicolon would end the statement here."""

    def __init__(self) -> None:
        self.parentheses = 0
        self.atomic = 0

    @property
    def is_outside(self) -> bool:
        return self.parentheses <= 0 and self.atomic == 0

    def follow(self, token: Token, so_far: list[Token]) -> None:
        if token.text == "(":
            self.parentheses += 1
        elif token.text == ")":
            self.parentheses -= 1
        elif token.kind == "word" and (word := token.text.upper()) in _BODY_WORDS and so_far[0].upper == "CREATE":
            self._follow_word(word, so_far)

    def _follow_word(self, word: str, so_far: list[Token]) -> None:
        if word == "ATOMIC":
            self.atomic += len(so_far) > 1 and so_far[-2].upper == "BEGIN"
        elif self.atomic:
            self.atomic += 1 if word == "CASE" else -1


def _block_comment_end(text: str, start: int) -> int:
    depth = 0
    for edge in _BLOCK_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    raise Unterminated("block comment", line_of(text, start))


def _kind(group: str) -> str:
    if group.endswith("comment"):
        return "comment"
    return "string" if group.endswith("string") else group


def _add(found: list[Statement], text: str, current: list[Token]) -> None:
    if current:
        start, end = current[0].start, current[-1].end
        found.append(Statement(text[start:end], start, line_of(text, start), tuple(current)))
