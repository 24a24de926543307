"""Creating things in the developer's own words: as schema.sql spells them, comments included."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.generate.differ import Step
from pipeline.lint.source import created_table
from pipeline.migrations.phrase import Phrase, altered_table, contains
from pipeline.migrations.sql_text import statements
from pipeline.schema.schema_text import read_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pipeline.migrations.sql_text import Statement
    from pipeline.schema.facts import Facts

_KINDS = ("TABLE", "INDEX", "MATERIALIZED VIEW", "VIEW", "TYPE", "DOMAIN", "FUNCTION", "PROCEDURE", "SEQUENCE")
_Name = tuple[str, str]  # kind and name


class Wording:
    """What schema.sql says, by what its statements create."""

    def __init__(self, schema: Path) -> None:
        found = read_schema(schema).statements
        named = [(_created(statement), statement) for statement in found]
        names = [name for name, _ in named]
        self._by_name = {name: statement for name, statement in named if name[0] and names.count(name) == 1}
        self._apart = {key: statement for statement in found for key in _parts_of(statement)}

    def of(self, steps: Sequence[Step], desired: Facts) -> list[Step]:
        """Replace steps that create something by what schema.sql says.

        A table's own statement holds its constraints and columns already, so the steps that would add them go.
        """
        read = [(step, statements(step.sql)[0]) for step in steps]
        spoken_tables = {name for _, statement in read if self._is_spoken(name := created_table(statement), statement)}
        workbenches = {
            table: self._workbench(table, [statement for _, statement in read], desired) for table in spoken_tables
        }
        result: list[Step] = []
        for at, (step, statement) in enumerate(read):
            owner = next((table for table in spoken_tables if self._belongs(statement, table, desired)), None)
            if owner is None:
                result.append(self._worded(step, statement))
            elif at == workbenches[owner]:
                result.append(replace(step, sql=self._by_name["TABLE", owner].text, verbatim=True))
                result += self._left_out(owner, [statement for _, statement in read])
                if not self._is_serial(owner):
                    result += [
                        step
                        for step, statement in read
                        if _sequence(statement, "ALTER") and self._belongs(statement, owner, desired)
                    ]
        return result

    def _is_spoken(self, table: str, statement: Statement) -> bool:
        """Whether schema.sql makes the table in one statement: pg_dump attaches a partition in another."""
        spoken = self._by_name.get(("TABLE", table))
        return spoken is not None and contains(spoken.words, "PARTITION", "OF") == contains(
            statement.words, "PARTITION", "OF"
        )

    def _left_out(self, table: str, read: Sequence[Statement]) -> list[Step]:
        """The constraints, defaults and identities that the differ says within the table, and schema.sql behind it."""
        added = {key for statement in read for key in _parts_of(statement)}
        apart = (statement for key, statement in self._apart.items() if key[0] == table and key not in added)
        return [Step(statement.text, verbatim=True) for statement in dict.fromkeys(apart)]

    def _workbench(self, table: str, read: Sequence[Statement], desired: Facts) -> int:
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
        spoken = self._by_name.get(name := _created(statement))
        if spoken is None or name[0] == "TABLE":
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
        sequence = _sequence(statement, "ALTER")
        if not sequence and (made := _sequence(statement, "CREATE")) and self._is_serial(table):
            sequence = made
        return bool(sequence) and desired.sequences.get(sequence) == table

    def _is_serial(self, table: str) -> bool:
        """Whether schema.sql says serial, which makes the sequence and all that belongs to it."""
        return any(word.endswith("SERIAL") for word in self._by_name["TABLE", table].words)

    def _is_within(self, clause: Phrase, table: str) -> bool:
        if clause.take("ADD", "CONSTRAINT"):
            return (table, "constraint", clause.name()) not in self._apart
        if clause.take("ALTER", "COLUMN"):
            return (table, "column", clause.name()) not in self._apart
        return clause.take("ADD", "COLUMN")


def _names(statement: Statement, table: str) -> bool:
    return any(
        token.kind in {"word", "quoted"} and token.identifier == table.rpartition(".")[2] for token in statement.tokens
    )


def _sequence(statement: Statement, verb: str) -> str:
    """The sequence that the statement makes or alters."""
    phrase = Phrase(statement)
    return phrase.name() if phrase.take(verb, "SEQUENCE") else ""


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


def _parts_of(statement: Statement) -> Iterable[tuple[str, str, str]]:
    """The constraints and columns that an ALTER TABLE is about: table, kind and name."""
    table, clauses = altered_table(statement)
    for clause in clauses:
        if clause.take("ADD", "CONSTRAINT"):
            yield table, "constraint", clause.name()
        elif clause.take("ALTER", "COLUMN"):
            yield table, "column", clause.name()
