"""The one cursor over a statement: reading its words from left to right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.migrations.sql_text import Statement, Token


class Phrase:
    """A position among a statement's tokens. Every `take` steps over what it found, and stays where it is otherwise."""

    def __init__(self, statement: Statement, at: int = 0) -> None:
        self.statement = statement
        self.at = at

    @property
    def rest(self) -> tuple[Token, ...]:
        """The tokens not yet stepped over."""
        return self.statement.tokens[self.at :]

    @property
    def at_end(self) -> bool:
        """Whether nothing is left to step over."""
        return self.at >= len(self.statement.tokens)

    @property
    def rest_text(self) -> str:
        """The text not yet stepped over."""
        rest = self.rest
        return self.statement.text[rest[0].start - self.statement.start :] if rest else ""

    def take(self, *keywords: str) -> bool:
        """Step over these keywords when they stand here."""
        if self.statement.words[self.at : self.at + len(keywords)] != keywords:
            return False
        self.at += len(keywords)
        return True

    def take_any(self, *keywords: str) -> str:
        """Step over one of these keywords and say which; empty when none stands here."""
        for keyword in keywords:
            if self.take(*keyword.split()):
                return keyword
        return ""

    def name(self) -> str:
        """Step over a name and give it as PostgreSQL means it, `schema.` left out where it is public.

        Empty when no name stands here. A name in another schema keeps it: `billing.Invoice`.
        """
        parts = [self._identifier()]
        while parts[-1] and self.take("."):
            parts.append(self._identifier())
        if len(parts) > 1 and parts[0] == "public":
            parts = parts[1:]
        return ".".join(parts)

    def spelled_identifier(self) -> str:
        """Step over a bare name and give it as it is written; empty when none stands here.

        ON is none: it follows where a statement leaves the name out.
        """
        rest = self.rest
        return rest[0].text if rest and rest[0].upper != "ON" and self._identifier() else ""

    def spelled_name(self) -> str:
        """Step over such a name, with its schema or without."""
        first = self.spelled_identifier()
        if first and self.take("."):
            second = self.spelled_identifier()
            return f"{first}.{second}" if second else ""
        return first

    def names(self) -> list[str]:
        """Step over names separated by commas."""
        found = [self.name()]
        while found[-1] and self.take(","):
            found.append(self.name())
        return [name for name in found if name]

    def clauses(self) -> list[Phrase]:
        """Cut what follows at the commas outside of parentheses: the clauses of an ALTER TABLE.

        Inside of parentheses it ends with them.
        """
        found, depth, first = [], 0, True
        for number, token in enumerate(self.rest, start=self.at):
            if depth == 0 and token.text == ")":
                break
            if first:
                found.append(Phrase(self.statement, number))
                first = False
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
            first = token.text == "," and depth == 0
        return found

    def clause_words(self) -> tuple[str, ...]:
        """Give the words from here to the next comma outside of parentheses, or to their end, or to that of the whole."""
        depth = 0
        for number, token in enumerate(self.rest, start=self.at):
            if token.text in {",", ")"} and depth == 0:
                return self.statement.words[self.at : number]
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
        return self.statement.words[self.at :]

    def clause_tokens(self) -> tuple[Token, ...]:
        """Give the tokens of the same."""
        return self.statement.tokens[self.at : self.at + len(self.clause_words())]

    def clause_text(self) -> str:
        """Give their text, as it is written."""
        found = self.clause_tokens()
        start = self.statement.start
        return self.statement.text[found[0].start - start : found[-1].end - start] if found else ""

    def group(self) -> tuple[Token, ...]:
        """Step over what stands in parentheses here, and give the tokens between them; empty when none stands here."""
        if not self.rest or self.rest[0].text != "(":
            return ()
        depth, first = 0, self.at + 1
        while self.at < len(self.statement.tokens):
            depth += {"(": 1, ")": -1}.get(self.statement.tokens[self.at].text, 0)
            self.at += 1
            if depth == 0:
                break
        return self.statement.tokens[first : self.at - 1]

    def skip_to(self, *keywords: str) -> bool:
        """Step to just behind the first of these keywords outside of parentheses; stays where it is when none comes."""
        depth = 0
        for number, token in enumerate(self.rest, start=self.at):
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            if depth == 0 and token.upper in keywords:
                self.at = number + 1
                return True
        return False

    def _identifier(self) -> str:
        rest = self.rest
        if not rest or rest[0].kind not in {"word", "quoted"}:
            return ""
        self.at += 1
        return rest[0].identifier


def contains(words: tuple[str, ...], *sequence: str) -> bool:
    """Whether these words stand one behind another somewhere among the others."""
    size = len(sequence)
    return any(words[at : at + size] == sequence for at in range(len(words) - size + 1))


def quoted(name: str) -> str:
    """Write a name as `Phrase.name` gives it in SQL again, each part in quotes."""
    return ".".join(f'"{part}"' for part in name.split("."))


def names_in(tokens: Iterable[Token]) -> list[str]:
    """Give the names among these tokens, as those in a list of columns."""
    return [token.identifier for token in tokens if token.kind in {"word", "quoted"}]


def altered_columns(statement: Statement) -> Iterator[tuple[str, str, Phrase]]:
    """Yield the table, the column and the rest of the clause of each ALTER COLUMN in an ALTER TABLE; of another, nothing."""
    table, clauses = altered_table(statement)
    for clause in clauses:
        if clause.take("ALTER"):
            clause.take("COLUMN")
            yield table, clause.name(), clause


def altered_table(statement: Statement) -> tuple[str, list[Phrase]]:
    """Give the table of an ALTER TABLE and its clauses; an empty name for any other statement."""
    phrase = Phrase(statement)
    if not phrase.take("ALTER", "TABLE") and not phrase.take("ALTER", "FOREIGN", "TABLE"):
        return "", []
    phrase.take("IF", "EXISTS")
    phrase.take("ONLY")
    name = phrase.name()
    phrase.take("*")
    return name, phrase.clauses()
