"""The schema as the files before a statement build it: what a rule may know without a database.

A relation that no file made is taken to be there and in use: a folder may begin behind a baseline. Every value is frozen:
`following.after` gives the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.lint.definitions import Column, Constraint
    from pipeline.migrations.sql_text import Statement

V = TypeVar("V")


def _none() -> Mapping[str, V]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, a view or a materialized view, under its name as `Phrase.name` gives it.

    `kind` is table, partitioned, view or materialized. `is_new` says that nobody but the files that are deployed with this
    one has seen it: whoever locks it stops nobody. `is_read` says that a file made it, so that its columns are known.
    """

    name: str
    kind: str = "table"
    is_new: bool = False
    is_read: bool = False
    parent: str = ""  # of a partition
    columns: Mapping[str, Column] = field(default_factory=_none)
    constraints: Mapping[str, Constraint] = field(default_factory=_none)
    key: str = ""  # how it is partitioned, as it is written
    has_policies: bool = False

    def with_constraint(self, constraint: Constraint) -> Relation:
        """Give the table with one more constraint, or another one under its name."""
        return replace(self, constraints=_with(self.constraints, constraint.name, constraint))

    def with_column(self, column: Column) -> Relation:
        """Give the table with one more column, or another one under its name."""
        return replace(self, columns=_with(self.columns, column.name, column))

    def primary_key(self) -> Constraint | None:
        """Give the primary key, when a file made it."""
        return next((each for each in self.constraints.values() if each.kind == "primary key"), None)


@dataclass(frozen=True, slots=True)
class KnownIndex:
    """An index on a table, with the columns that it begins with as far as they are plain columns."""

    name: str
    table: str
    unique: bool = False
    columns: tuple[str, ...] = ()
    is_new: bool = False
    only: bool = False  # ON ONLY a partitioned table: invalid until each partition's is attached


@dataclass(frozen=True, slots=True)
class Routine:
    """A function or a procedure: its volatility (i, s or v, as pg_proc.provolatile), and the statements of its body."""

    name: str
    volatility: str = "v"
    body: tuple[Statement, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Type:
    """An enum with its labels, or a domain with what it is made of. `added` are the labels that this file added."""

    name: str
    kind: str  # enum, domain, other
    is_new: bool = False  # made by this file
    added: tuple[str, ...] = ()
    has_constraints: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """What there is at one point of the history."""

    relations: Mapping[str, Relation] = field(default_factory=_none)
    indexes: Mapping[str, KnownIndex] = field(default_factory=_none)
    routines: Mapping[str, Routine] = field(default_factory=_none)
    types: Mapping[str, Type] = field(default_factory=_none)

    def relation(self, name: str) -> Relation:
        """Give the relation; one that no file made is a table in use of which nothing is known."""
        return self.relations.get(name) or Relation(name)

    def in_use(self, name: str) -> bool:
        """Whether services may be using the relation: it was not made by the files that are deployed with this one."""
        return bool(name) and not self.relation(name).is_new

    def is_partitioned(self, name: str) -> bool:
        """Whether it is a partitioned table."""
        return self.relation(name).kind == "partitioned"

    def partitions(self, name: str) -> list[str]:
        """List the partitions of a table, those below them included."""
        direct = [each.name for each in self.relations.values() if each.parent == name]
        return [*direct, *(below for each in direct for below in self.partitions(each))]

    def referencing(self, name: str) -> list[str]:
        """List the tables with a foreign key to this one."""
        return [
            each.name
            for each in self.relations.values()
            if each.name != name and any(fk.references == name for fk in each.constraints.values())
        ]

    def with_relation(self, relation: Relation) -> Schema:
        """Give the schema with the relation, in place of one that has its name."""
        return replace(self, relations=_with(self.relations, relation.name, relation))

    def with_index(self, index: KnownIndex) -> Schema:
        """Give the schema with the index."""
        return replace(self, indexes=_with(self.indexes, index.name, index))

    def with_routine(self, routine: Routine) -> Schema:
        """Give the schema with the function."""
        return replace(self, routines=_with(self.routines, routine.name, routine))

    def with_type(self, type_: Type) -> Schema:
        """Give the schema with the type."""
        return replace(self, types=_with(self.types, type_.name, type_))

    def without_relation(self, name: str) -> Schema:
        """Give the schema without the relation, its indexes and its partitions."""
        gone = {name, *self.partitions(name)}
        return replace(
            self,
            relations={key: each for key, each in self.relations.items() if key not in gone},
            indexes={key: each for key, each in self.indexes.items() if each.table not in gone},
        )

    def without_index(self, name: str) -> Schema:
        """Give the schema without the index."""
        return replace(self, indexes={key: each for key, each in self.indexes.items() if key != name})

    def in_the_next_file(self) -> Schema:
        """Give what the next file of the same deploy finds: what is new of a file is committed."""
        if not any(each.is_new or each.added for each in self.types.values()):
            return self
        return replace(self, types={key: replace(each, is_new=False, added=()) for key, each in self.types.items()})

    def deployed(self) -> Schema:
        """Give what a later deploy finds: everything is in use."""
        if not any(each.is_new for each in self.relations.values()) and not any(
            each.is_new for each in self.indexes.values()
        ):
            return self.in_the_next_file()
        return replace(
            self.in_the_next_file(),
            relations={key: replace(each, is_new=False) for key, each in self.relations.items()},
            indexes={key: replace(each, is_new=False) for key, each in self.indexes.items()},
        )


def _with(mapping: Mapping[str, V], key: str, value: V) -> Mapping[str, V]:
    return {**mapping, key: value}
