"""SQL text taken apart as PostgreSQL's own scanner does: tokens, statements, and what was left open.

The rules are those of the server's scanner (src/backend/parser/scan.l) and of the documentation's "Lexical Structure"
chapter, with standard_conforming_strings on: nested block comments, dollar quotes, E'' strings with backslashes, doubled
quotes, strings that go on after a line break. A line ends with LF or with CR. Where a statement ends is psql's rule: not
inside parentheses, and not inside the body of a BEGIN ATOMIC function.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# No pattern below can match the same text in two ways, so that a failure costs linear time. A class that holds everything
# beyond ASCII names what it does not hold, since one with a range up to U+10FFFF takes milliseconds to compile.
_SPACE = r"[ \t\n\r\f\v]"  # the vertical tab since PostgreSQL 17; before it is an error
_COMMENT = r"--[^\n\r]*"
_BLANK = rf"{_SPACE}*(?:{_COMMENT}(?:[\n\r]{_SPACE}*|\Z))*"
_NAME = r"[^\x00-@\[-^`{-\x7f][^\x00-\#%-/:-@\[-^`{-\x7f]*"
_TAG = r"\$(?:[^\x00-@\[-^`{-\x7f][^\x00-/:-@\[-^`{-\x7f]*)?\$"

# A string goes on behind white space with a line break in it, in the mode in which it began.
_GOES_ON = rf"[ \t\f\v]*(?:{_COMMENT})?[\n\r](?:{_SPACE}|{_COMMENT}[\n\r])*'"
_PLAIN_PART = r"[^']*(?:''[^']*)*'(?!')"
_ESCAPE_PART = r"[^'\\]*(?:(?:\\.|'')[^'\\]*)*'(?!')"
_PLAIN_STRING = rf"(?:[uU]&)?'{_PLAIN_PART}(?:{_GOES_ON}{_PLAIN_PART})*"
_BIT_STRING = rf"[bBxX]'[^']*'(?:{_GOES_ON}[^']*')*"
_ESCAPE_STRING = rf"[eE]'{_ESCAPE_PART}(?:{_GOES_ON}{_ESCAPE_PART})*"
_QUOTED = (
    rf'"[^"]*(?:""[^"]*)*"(?!")|[uU]&"[^"]*(?:""[^"]*)*"(?!")(?:{_BLANK}[uU][eE][sS][cC][aA][pP][eE]{_BLANK}\'[^\']\')?'
)

_DIGITS = r"[0-9](?:_?[0-9])*"
_NUMBER = (
    rf"0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+"
    rf"|(?:{_DIGITS}(?:\.(?!\.)(?:{_DIGITS})?)?|(?<!\.)\.{_DIGITS})(?:[eE][-+]?{_DIGITS})?|\$[0-9]+"
)

# What a token can start with. Order matters: a comment before an operator, a string's prefix before a word.
_TOKEN = re.compile(
    rf"(?P<space>{_SPACE}+)|(?P<line_comment>{_COMMENT})|(?P<block_comment>/\*)"
    rf"|(?P<escape_string>{_ESCAPE_STRING})|(?P<string>{_PLAIN_STRING}|{_BIT_STRING})|(?P<quoted>{_QUOTED})"
    rf"|(?P<open_string>(?:[bBxXeE]|[uU]&)?')|(?P<open_quoted>(?:[uU]&)?\")"
    rf"|(?P<dollar>{_TAG})|(?P<word>{_NAME})|(?P<number>{_NUMBER})|(?P<symbol>.)",
    re.DOTALL,
)
# As many tokens as stand here, with what is blank before each, but none that needs a closer look: a semicolon, a
# parenthesis, a dollar quote, a block comment, and what is left open. Bounded, since the matcher remembers each one.
_RUN = re.compile(
    rf"(?:{_BLANK}(?:{_ESCAPE_STRING}|{_PLAIN_STRING}|{_BIT_STRING}|{_QUOTED}|(?![bBxXeE]'|[uU]&['\"]){_NAME}|{_NUMBER}"
    rf"|/(?!\*)|-(?!-)|[\x01-\x08\x0e-\x1f!#%&*+,.:<=>?@\[\\\]^`{{|}}~\x7f])){{0,200}}",
    re.DOTALL,
)
_WORD = re.compile(_NAME)
_BLANKS = re.compile(_BLANK)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_LEFT_OPEN = {"open_string": "string", "open_quoted": "quoted identifier"}

# What opens or closes a level in the body of a BEGIN ATOMIC function.
_BODY_WORDS = frozenset({"ATOMIC", "CASE", "END"})
_ATOMIC = re.compile("atomic", re.IGNORECASE | re.ASCII)
_IS_CREATE = re.compile("create", re.IGNORECASE | re.ASCII)

# The server folds only these: to it, an identifier with Ä or a keyword with the dotless i stays as it is.
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_UPPER = {lower: upper for upper, lower in _LOWER.items()}
_ESCAPED_NAME = re.compile(r"""[uU]&"(?P<text>.*)"(?:[^"]*'(?P<escape>[^'])')?\Z""", re.DOTALL)


class Unterminated(ValueError):
    """A quote or comment that the text never closes. `what` names it, `line` (from 1) is where it starts."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(f"unterminated {what}")
        self.what = what
        self.line = line


class Token(NamedTuple):
    """One token: `kind` is word, quoted, string, dollar (a dollar-quoted string), number, symbol or comment.

    An operator of several characters is as many symbols, and a string that goes on after a line break is one token.
    """

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
        return self.text.translate(_UPPER) if self.kind == "word" else self.text

    @property
    def identifier(self) -> str:
        """The name that a word or a quoted identifier means to the server: folded, or unquoted and unescaped."""
        if self.kind != "quoted":
            return self.text.translate(_LOWER)
        escaped = _ESCAPED_NAME.match(self.text)
        if escaped is None:
            return self.text[1:-1].replace('""', '"')
        return _unescaped(escaped["text"].replace('""', '"'), escaped["escape"] or "\\")


@dataclass(frozen=True)
class Statement:
    """One statement: its text without the semicolon and the comments around it, and where it starts."""

    text: str
    start: int  # offset in the whole text
    line: int  # from 1
    stop: int  # offset behind its semicolon, or the text's length where it has none

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """Its tokens without comments; their offsets are those in the whole text."""
        return tuple(
            Token(token.kind, token.text, self.start + token.start)
            for token in tokens(self.text)
            if token.kind != "comment"
        )

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Every token in upper case where it is a keyword or a bare name: what rules match against."""
        return tuple(token.upper for token in self.tokens)

    def line_at(self, offset: int) -> int:
        """The line of the whole text on which the character at this offset of the statement's own text stands."""
        return self.line + self.text.count("\n", 0, offset)

    def head(self, number: int) -> tuple[str, ...]:
        """So many of `words`, without taking the whole statement apart."""
        return tuple(islice((each.upper for each in tokens(self.text) if each.kind != "comment"), number))

    @cached_property
    def first_word(self) -> str:
        """The word in upper case that the statement begins with, or the character that is no word's."""
        word = _WORD.match(self.text)
        return self.text[0] if word is None else word.group().translate(_UPPER)


def tokens(text: str) -> Iterator[Token]:
    """Yield every token of the text but white space, comments included.

    Raises:
        Unterminated: a quote or comment is never closed.
    """
    return _tokens(text, 0)


def statements(text: str) -> list[Statement]:
    """The text's statements, in order; empty ones (a lone semicolon) are left out. Takes time linear in the text.

    Raises:
        Unterminated: a quote or comment is never closed.
    """
    found: list[Statement] = []
    may_be_atomic = _ATOMIC.search(text) is not None
    position, length, line, counted = 0, len(text), 1, 0
    while (start := _skip_blank(text, position)) < length:
        if text[start] == ";":
            position = start + 1
            continue
        find_end = _end_of_create if may_be_atomic and _IS_CREATE.match(text, start) else _end_of_statement
        end, position = find_end(text, start)
        line += text.count("\n", counted, start)
        counted = start
        found.append(Statement(text[start:end], start, line, position))
    return found


def line_of(text: str, offset: int) -> int:
    """The line (from 1) of an offset."""
    return text.count("\n", 0, offset) + 1


def _tokens(text: str, position: int) -> Iterator[Token]:
    end = len(text)
    while position < end:
        kind, stop = _token(text, position)
        if kind != "space":
            yield Token(_kind(kind), text[position:stop], position)
        position = stop


def _token(text: str, position: int) -> tuple[str, int]:
    """The group of _TOKEN that matches here, and the offset behind the token."""
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
    return kind, stop


def _skip_blank(text: str, position: int) -> int:
    """The offset of the next token that is not a comment, or the text's length."""
    while True:
        position = _BLANKS.match(text, position).end()  # type: ignore[union-attr] # it matches nothing, too
        if not text.startswith("/*", position):
            return position
        position = _block_comment_end(text, position)


def _end_of_statement(text: str, start: int) -> tuple[int, int]:
    """Where the statement's last token ends, and the offset behind its semicolon."""
    position = end = start
    length = len(text)
    depth = 0
    while True:
        run = _RUN.match(text, position)
        if run is not None and run.end() > position:
            position = end = run.end()
            continue
        position = _skip_blank(text, position)
        if position >= length:
            return end, length
        character = text[position]
        if character == ";" and depth <= 0:
            return end, position + 1
        if character in "();":
            depth += (character == "(") - (character == ")")
            position = end = position + 1
        else:
            _, position = _token(text, position)
            end = position


def _end_of_create(text: str, start: int) -> tuple[int, int]:
    """As _end_of_statement, for what may hold BEGIN ATOMIC: every word counts."""
    depth = _Depth()
    end = start
    for token in _tokens(text, start):
        if token.kind == "comment":
            continue
        if token.text == ";" and depth.is_outside:
            return end, token.end
        end = token.end
        depth.follow(token)
    return end, len(text)


class _Depth:
    """Whether a semicolon would end the CREATE here."""

    def __init__(self) -> None:
        self.parentheses = 0
        self.atomic = False
        self.cases = 0
        self.before = ""  # the token before, in upper case

    @property
    def is_outside(self) -> bool:
        return self.parentheses <= 0 and not self.atomic

    def follow(self, token: Token) -> None:
        word = token.upper
        if word == "(":
            self.parentheses += 1
        elif word == ")":
            self.parentheses -= 1
        elif token.kind == "word" and word in _BODY_WORDS and self.before not in {"AS", "."}:
            self._follow_word(word)
        self.before = word

    def _follow_word(self, word: str) -> None:
        if word == "ATOMIC":
            self.atomic = self.atomic or self.before == "BEGIN"
        elif self.atomic and word == "CASE":
            self.cases += 1
        elif self.atomic and self.cases:
            self.cases -= 1
        elif self.before in {";", "ATOMIC"}:  # any other END is a column's name
            self.atomic = False


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


def _unescaped(name: str, escape: str) -> str:
    """A U&"" name with its escapes undone; one that the server would refuse stays as it is."""
    mark = re.escape(escape)

    def character(match: re.Match[str]) -> str:
        digits = match[1] or match[2]
        return chr(int(digits, 16)) if digits else escape

    try:
        return re.sub(rf"{mark}(?:([0-9A-Fa-f]{{4}})|\+([0-9A-Fa-f]{{6}})|{mark})", character, name)
    except ValueError:
        return name
