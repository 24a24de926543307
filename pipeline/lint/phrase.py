"""Reading a statement's words from left to right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

    def names(self) -> list[str]:
        """Step over names separated by commas."""
        found = [self.name()]
        while found[-1] and self.take(","):
            found.append(self.name())
        return [name for name in found if name]

    def clauses(self) -> list[Phrase]:
        """Cut what follows at the commas outside of parentheses: the clauses of an ALTER TABLE."""
        found, depth, first = [], 0, True
        for number, token in enumerate(self.rest, start=self.at):
            if first:
                found.append(Phrase(self.statement, number))
                first = False
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
            first = token.text == "," and depth == 0
        return found

    def clause_words(self) -> tuple[str, ...]:
        """Give the words from here to the next comma outside of parentheses, or to the end."""
        depth = 0
        for number, token in enumerate(self.rest, start=self.at):
            if token.text == "," and depth == 0:
                return self.statement.words[self.at : number]
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
        return self.statement.words[self.at :]

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


def altered_table(statement: Statement) -> tuple[str, list[Phrase]]:
    """Give the table of an ALTER TABLE and its clauses; an empty name for any other statement."""
    phrase = Phrase(statement)
    if not phrase.take("ALTER", "TABLE"):
        return "", []
    phrase.take("IF", "EXISTS")
    phrase.take("ONLY")
    name = phrase.name()
    phrase.take("*")
    return name, phrase.clauses()
