"""What an old column's rules and indexes are for the new one, in schema.sql's own words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbclient.quoting import identifier
from pipeline.errors import InvalidPlan
from pipeline.generate.expanding.expressions import replaced
from pipeline.generate.expanding.schema_editing import constraint_text, index_statement
from pipeline.generate.style import quoted, spelled
from pipeline.migrations.phrase import Phrase
from pipeline.migrations.sql_text import statements

if TYPE_CHECKING:
    from collections.abc import Collection

    from pipeline.generate.expanding import Change
    from pipeline.generate.expanding.columns import ColumnConstraint, ColumnFacts, ColumnIndex
    from pipeline.migrations.sql_text import Token

_LONGEST_NAME = 63  # bytes: NAMEDATALEN


@dataclass(frozen=True, slots=True)
class Twins:
    """Constraints as `CONSTRAINT name …`; indexes as pairs of the old one's name and the new one's CREATE INDEX.

    `left` are the names of those that cannot be carried over to another type.
    """

    constraints: tuple[str, ...] = ()
    indexes: tuple[tuple[str, str], ...] = ()
    left: tuple[str, ...] = ()


def twins_of(text: str, change: Change, column: ColumnFacts, taken: Collection[str]) -> Twins:
    """Make them of what stands in schema.sql. `taken` are the names of all constraints and indexes that are there.

    Raises:
        InvalidPlan: a name that the new one would have is taken.
    """
    if not change.is_rename:  # an expression over one type says nothing of another
        left = (*(each.name for each in column.constraints), *(each.name for each in column.indexes))
        return Twins(left=left)
    return Twins(
        tuple(_constraint(text, change, each, taken) for each in column.constraints),
        tuple((each.name, _index(text, change, each, taken)) for each in column.indexes),
    )


def twin_name(name: str, old: str, new: str) -> str:
    """The name of a twin: the old column's name in it, between underscores, replaced by the new one's; else with it behind."""
    parts = f"_{name}_".split(f"_{old}_")
    twin = f"_{new}_".join(parts).strip("_") if len(parts) > 1 else f"{name}_{new}"
    return twin.encode()[:_LONGEST_NAME].decode(errors="ignore")


def _constraint(text: str, change: Change, constraint: ColumnConstraint, taken: Collection[str]) -> str:
    name = _free_name(constraint.name, change, taken)
    definition = constraint_text(text, change.table, constraint.name)
    if not definition:  # written with its column, or by ALTER TABLE
        definition = f"CONSTRAINT {identifier(constraint.name)} {spelled(constraint.definition)}"
    tokens = statements(definition)[0].tokens
    end = len(tokens)
    if constraint.kind == "f":  # the other table's columns may have the same name
        end = next(number for number, token in enumerate(tokens) if token.upper == "REFERENCES")
    return _renamed(definition, tokens[2:end], change, tokens[1], name)


def _index(text: str, change: Change, index: ColumnIndex, taken: Collection[str]) -> str:
    name = _free_name(index.name, change, taken)
    definition = index_statement(text, index.name) or spelled(index.definition)
    statement = statements(definition)[0]
    phrase = Phrase(statement)
    phrase.skip_to("INDEX")
    phrase.take("IF", "NOT", "EXISTS")
    named = statement.tokens[phrase.at]
    phrase.skip_to("ON")
    phrase.take("ONLY")
    phrase.name()
    return _renamed(definition, statement.tokens[phrase.at :], change, named, name)


def _renamed(definition: str, tokens: tuple[Token, ...], change: Change, named: Token, name: str) -> str:
    behind = replaced(definition, tokens, change.old, identifier(change.new))
    return f"{behind[: named.start]}{identifier(name)}{behind[named.end :]}"


def _free_name(name: str, change: Change, taken: Collection[str]) -> str:
    twin = twin_name(name, change.old, change.new)
    if twin in taken:
        raise InvalidPlan(
            f"{quoted(name)} would be carried over as {quoted(twin)}, and there is one of that name",
            where="schema.sql",
            remedy="Rename it first, or choose another name for the new column.",
        )
    return twin
