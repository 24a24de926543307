"""Creating things in the developer's own words: as schema.sql spells them, comments included."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.generate.schema_text import read_schema
from pipeline.lint.phrase import Phrase, altered_table
from pipeline.lint.source import created_table
from pipeline.migrations.sql_text import statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pipeline.generate.difference import Step
    from pipeline.generate.facts import Facts
    from pipeline.migrations.sql_text import Statement

_KINDS = ("TABLE", "INDEX", "MATERIALIZED VIEW", "VIEW", "TYPE", "DOMAIN", "FUNCTION", "PROCEDURE", "SEQUENCE")
_Name = tuple[str, str]  # kind and name


class Wording:
    """What schema.sql says, by what its statements create."""

    def __init__(self, schema: Path) -> None:
        found = read_schema(schema).statements
        named = [(_created(statement), statement) for statement in found]
        names = [name for name, _ in named]
        self._by_name = {name: statement for name, statement in named if name[0] and names.count(name) == 1}
        self._apart = frozenset(_constraints_added_apart(found))

    def of(self, steps: Sequence[Step], desired: Facts) -> list[Step]:
        """Replace steps that create something by what schema.sql says.

        A table's own statement holds its constraints and columns already, so the steps that would add them go.
        """
        read = [(step, statements(step.sql)[0]) for step in steps]
        spoken_tables = {name for _, statement in read if ("TABLE", name := created_table(statement)) in self._by_name}
        places = {table: self._place(table, [statement for _, statement in read], desired) for table in spoken_tables}
        result: list[Step] = []
        for at, (step, statement) in enumerate(read):
            owner = next((table for table in spoken_tables if self._belongs(statement, table, desired)), None)
            if owner is None:
                result.append(self._worded(step, statement))
            elif at == places[owner]:
                result.append(replace(step, sql=self._by_name["TABLE", owner].text, verbatim=True))
        return result

    def _place(self, table: str, read: Sequence[Statement], desired: Facts) -> int:
        """Where the whole table can stand: at its last part, which may refer to another table.

        But before whatever else refers to it, as a partition does.
        """
        own = [at for at, statement in enumerate(read) if self._belongs(statement, table, desired)]
        for at in own[1:]:
            between = [statement for statement in read[own[0] : at] if not self._belongs(statement, table, desired)]
            if any(_names(statement, table) for statement in between):
                return own[own.index(at) - 1]
        return own[-1]

    def _worded(self, step: Step, statement: Statement) -> Step:
        spoken = self._by_name.get(_created(statement))
        if spoken is None:
            return step
        text = spoken.text
        if statement.words[:3] == ("CREATE", "OR", "REPLACE") and spoken.words[:3] != ("CREATE", "OR", "REPLACE"):
            text = f"CREATE OR REPLACE{text[len('CREATE') :]}"
        return replace(step, sql=text, verbatim=True)

    def _belongs(self, statement: Statement, table: str, desired: Facts) -> bool:
        """Whether the statement makes the table or a part of it."""
        if created_table(statement) == table:
            return True
        altered, clauses = altered_table(statement)
        if altered == table:
            return all(self._is_within(clause, table) for clause in clauses)
        phrase = Phrase(statement)
        return (
            bool(phrase.take_any("CREATE SEQUENCE", "ALTER SEQUENCE")) and desired.sequences.get(phrase.name()) == table
        )

    def _is_within(self, clause: Phrase, table: str) -> bool:
        if clause.take("ADD", "CONSTRAINT"):
            return (table, clause.name()) not in self._apart
        return bool(clause.take_any("ADD COLUMN", "ALTER COLUMN"))


def _names(statement: Statement, table: str) -> bool:
    return any(
        token.kind in {"word", "quoted"} and token.identifier == table.rpartition(".")[2] for token in statement.tokens
    )


def _created(statement: Statement) -> _Name:
    """What the statement creates; ("", "") when it is nothing that a name alone tells."""
    phrase = Phrase(statement)
    if not phrase.take("CREATE"):
        return "", ""
    phrase.take("OR", "REPLACE")
    phrase.take("UNIQUE")
    kind = phrase.take_any(*_KINDS)
    phrase.take("IF", "NOT", "EXISTS")
    return (kind, phrase.name()) if kind else ("", "")


def _constraints_added_apart(found: Iterable[Statement]) -> Iterable[tuple[str, str]]:
    """The constraints that schema.sql adds in an ALTER TABLE of their own: (table, name)."""
    for statement in found:
        table, clauses = altered_table(statement)
        for clause in clauses:
            if clause.take("ADD", "CONSTRAINT"):
                yield table, clause.name()
