"""What writing a careful migration needs to know of a database: tables, columns, indexes, constraints, and roles."""

from __future__ import annotations

import collections
import json
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from psycopg import sql

from pipeline.history.tables import SCHEMA
from pipeline.kinds import DETAILS, FOR_DETAILS, union
from pipeline.postgres.connect import open_session
from services import RUNTIME_ROLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbclient.url import DatabaseURL


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its type as format_type writes it."""

    type: str
    not_null: bool
    has_default: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table (kind r), partitioned table (p), materialized view (m) or view (v)."""

    kind: str
    columns: dict[str, Column]


@dataclass(frozen=True, slots=True)
class Index:
    """An index; `constraint` names the constraint that it belongs to, if any."""

    table: str
    definition: str
    constraint: str


@dataclass(frozen=True, slots=True)
class Counter:
    """What numbers a column: its sequence, which is the column's own ("identity", "owned") or not ("shared")."""

    sequence: str
    kind: str
    descending: bool


@dataclass(frozen=True)
class Facts:
    """Names are as `Phrase.name` gives them: without a schema in public."""

    tables: dict[str, Table] = field(default_factory=dict)
    indexes: dict[str, Index] = field(default_factory=dict)
    partitions: dict[str, str] = field(
        default_factory=dict
    )  # of partitioned tables -> the table that they are a part of
    index_parents: dict[str, str] = field(default_factory=dict)  # of partitions' indexes
    constraints: dict[tuple[str, str], str] = field(default_factory=dict)  # (table, name) -> definition
    sequences: dict[str, str] = field(default_factory=dict)  # of serial columns -> table
    counters: dict[tuple[str, str], Counter] = field(default_factory=dict)  # (table, column)
    enums: dict[str, list[str]] = field(default_factory=dict)
    others: dict[str, str] = field(
        default_factory=dict
    )  # sequences, types, functions of one form -> what ALTER calls it
    schemas: tuple[str, ...] = ()
    runtime_roles: tuple[str, ...] = ()  # those that may use the schema public
    roles: tuple[str, ...] = ()  # all of the server

    def takes_rows(self, name: str) -> bool:
        """Whether it is a table that holds rows itself."""
        return name in self.tables and self.tables[name].kind in {"r", "m"}

    def is_partitioned(self, name: str) -> bool:
        """Whether it is a table whose rows are in its partitions."""
        return name in self.tables and self.tables[name].kind == "p"

    def parts_of(self, name: str) -> list[str]:
        """The partitions of a table that hold rows themselves, at any depth."""
        below = [child for child, parent in sorted(self.partitions.items()) if parent == name]
        return [leaf for child in below for leaf in (self.parts_of(child) if self.is_partitioned(child) else [child])]


def read_facts(url: DatabaseURL) -> Facts:
    """Read the facts of a database."""
    details = union(DETAILS, ignored_schemas=[SCHEMA]) + sql.SQL("SELECT kind, detail::text FROM everything")
    with open_session(url, application_name="db-pipeline facts") as session:
        rows = session.run(f"{FOR_DETAILS}; {details.as_string()}")[-1].rows
    found: collections.defaultdict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    for kind, detail in rows:
        found[str(kind)].append(json.loads(str(detail)))
    return _facts(found)


def _facts(found: Mapping[str, Sequence[dict[str, Any]]]) -> Facts:
    """The facts of what `kinds.details` gives for each kind."""
    tables, indexes, types, sequences = (
        sorted(found[kind], key=itemgetter("name")) for kind in ("table", "index", "type", "sequence")
    )
    named = [(sequence["name"], "SEQUENCE") for sequence in sequences]
    named += [(each["name"], each["kind"]) for each in (*types, *found["routine"])]
    occurrences = collections.Counter(named)
    in_public = {role["name"] for role in found["role"] if role["in_public"]}
    return Facts(
        tables={
            table["name"]: Table(table["kind"], {name: Column(*known) for _, name, *known in table["columns"]})
            for table in tables
        },
        indexes={index["name"]: Index(index["table"], index["definition"], index["constraint"]) for index in indexes},
        partitions={table["name"]: table["part_of"] for table in tables if table["part_of"] is not None},
        index_parents={index["name"]: index["parent"] for index in indexes if index["parent"] is not None},
        constraints={(each["table"], each["name"]): each["definition"] for each in found["constraint"] if each["own"]},
        enums={each["name"]: each["labels"] for each in types if each["labels"]},
        counters={
            (each["table"], each["column"]): Counter(each["sequence"], each["kind"], descending=each["descending"])
            for each in found["counter"]
        },
        sequences={each["name"]: each["table"] for each in sequences if each["table"] is not None},
        others={name: kind for (name, kind), forms in occurrences.items() if forms == 1},
        schemas=tuple(sorted(schema["name"] for schema in found["schema"])),
        runtime_roles=tuple(role for role in RUNTIME_ROLES if role in in_public),
        roles=tuple(sorted(role["name"] for role in found["role"])),
    )
