"""Columns and constraints as CREATE TABLE and ALTER TABLE … ADD spell them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pipeline.migrations.phrase import contains, names_in

if TYPE_CHECKING:
    from pipeline.migrations.phrase import Phrase
    from pipeline.migrations.sql_text import Token

# What ends the type of a column (documentation of CREATE TABLE).
_BEHIND_TYPE = {
    "CONSTRAINT", "NOT", "NULL", "DEFAULT", "CHECK", "UNIQUE", "PRIMARY", "REFERENCES", "GENERATED", "COLLATE", "STORAGE",
    "COMPRESSION", "DEFERRABLE", "INITIALLY", "USING", "OPTIONS",
}  # fmt: skip
# How PostgreSQL ends the name of a constraint that was given none.
_ENDINGS = {"check": "check", "foreign key": "fkey", "unique": "key", "exclude": "excl", "not null": "not_null"}
_SERIAL = {"serial", "bigserial", "smallserial", "serial4", "serial8", "serial2"}


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint. `kind` is check, foreign key, primary key, unique, exclude or not null."""

    name: str
    kind: str
    columns: tuple[str, ...] = ()
    check: tuple[Token, ...] = field(default=(), repr=False)
    valid: bool = True
    references: str = ""
    using_index: str = ""
    definition: str = ""  # as it is written, behind the name, without NOT VALID


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `type` is in lower case, without its COLLATE; `default` holds the tokens of its expression."""

    name: str
    type: str = ""
    not_null: bool = False
    default: tuple[Token, ...] = field(default=(), repr=False)
    numbers_rows: bool = False  # serial, or an identity column
    is_stored: bool = False  # GENERATED ALWAYS AS (…) STORED


def read_column(phrase: Phrase) -> tuple[Column, tuple[Constraint, ...]]:
    """Read the column that stands here, up to the next comma, and the constraints that are written with it."""
    end = phrase.at + len(phrase.clause_words())
    name = phrase.name()
    tokens, words = phrase.statement.tokens[phrase.at : end], phrase.statement.words[phrase.at : end]
    at, depth = 0, 0
    for at, word in enumerate((*words, "NOT")):  # noqa: B007 - where it stopped is asked for below
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth == 0 and word in _BEHIND_TYPE:
            break
    type_ = type_text(tokens[:at])
    column = Column(
        name,
        type_,
        not_null=contains(words, "NOT", "NULL") or contains(words, "PRIMARY", "KEY"),
        default=_default(tokens),
        numbers_rows=type_ in _SERIAL or contains(words, "AS", "IDENTITY"),
        is_stored="STORED" in words,
    )
    constraints = []
    phrase.at += at
    while phrase.at < end:
        found = read_constraint(phrase)
        if found is None:
            phrase.at += 1
        elif found.kind != "not null":
            constraints.append(replace(found, columns=found.columns or (name,)))
    phrase.at = end
    return column, tuple(constraints)


def read_constraint(phrase: Phrase) -> Constraint | None:
    """Read the constraint that stands here, or None when something else does."""
    start = phrase.at
    name = phrase.name() if phrase.take("CONSTRAINT") else ""
    words = phrase.clause_words()
    definition = phrase.clause_text()
    kind = phrase.take_any("CHECK", "FOREIGN KEY", "PRIMARY KEY", "UNIQUE", "EXCLUDE", "REFERENCES", "NOT NULL").lower()
    if not kind:
        phrase.at = start
        return None
    valid = not contains(words, "NOT", "VALID")
    if not valid:
        definition = definition[: definition.upper().rindex("NOT VALID")].rstrip()
    columns, check, references, index = _inside(phrase, kind)
    kind = "foreign key" if kind == "references" else kind
    return Constraint(name, kind, columns, check, valid, references, index, definition)


def read_added(clause: Phrase) -> tuple[Column | None, tuple[Constraint, ...]]:
    """Read an ADD of ALTER TABLE: the column, if it adds one, and the constraints. Of another clause there are none."""
    if not clause.take("ADD"):
        return None, ()
    constraint = read_constraint(clause)
    if constraint is not None:
        return None, (constraint,)
    clause.take("COLUMN")
    clause.take("IF", "NOT", "EXISTS")
    return read_column(clause)


def named(constraint: Constraint, table: str) -> Constraint:
    """Give a nameless constraint the name that PostgreSQL chooses for it, as far as no other has it already."""
    if constraint.name:
        return constraint
    bare = table.rpartition(".")[2]
    if constraint.kind == "primary key":
        return replace(constraint, name=f"{bare}_pkey")
    columns = "_".join(constraint.columns)
    return replace(constraint, name="_".join(part for part in (bare, columns, _ENDINGS[constraint.kind]) if part))


def type_text(tokens: tuple[Token, ...]) -> str:
    """Write a type in lower case, with one space between its words and none about its parentheses and dots."""
    text = ""
    for token in tokens:
        word = token.text if token.kind == "quoted" else token.text.lower()
        glued = not text or word in {"(", ")", ",", "[", "]", "."} or text[-1] in "([.,"
        text += word if glued else f" {word}"
    return text


def _inside(phrase: Phrase, kind: str) -> tuple[tuple[str, ...], tuple[Token, ...], str, str]:
    """Read on behind the kind: columns, the expression of a check, the table that is referenced, an index to use."""
    if kind == "check":
        check = phrase.group()
        return (), check, "", ""
    if kind == "not null":
        at = phrase.at
        name = phrase.name()
        if name.upper() in _BEHIND_TYPE:
            phrase.at = at
            name = ""
        return ((name,) if name else ()), (), "", ""
    if kind == "references":
        references = phrase.name()
        phrase.group()
        return (), (), references, ""
    phrase.take_any("NULLS NOT DISTINCT", "NULLS DISTINCT")
    if phrase.take("USING", "INDEX"):
        return (), (), "", phrase.name()
    if kind == "exclude":
        return (), (), "", ""
    columns = tuple(names_in(phrase.group()))
    references = phrase.name() if phrase.take("REFERENCES") else ""
    return columns, (), references, ""


def _default(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """The tokens of a DEFAULT's expression: up to the next word that starts another part of the column."""
    depth, start = 0, None
    for number, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth:
            continue
        if start is None and token.upper == "DEFAULT" and not (number and tokens[number - 1].upper in {"BY", "SET"}):
            start = number + 1
        elif start is not None and number > start and token.upper in _BEHIND_TYPE:
            return tokens[start:number]
    return tokens[start:] if start is not None else ()
