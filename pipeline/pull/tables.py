"""The tables that hold rows, as a pull needs to know them: columns with their types, what is unique, and foreign keys."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from psycopg import sql

from dbclient.quoting import identifier
from pipeline.errors import Refused
from pipeline.history.tables import HISTORY_SCHEMAS, HISTORY_TABLES
from pipeline.kinds import FOR_DETAILS, OF_ROWS, union

if TYPE_CHECKING:
    import psycopg

_LENGTH = re.compile(r"\((\d+)\)\Z")


@dataclass(frozen=True, slots=True)
class Column:
    """A column that holds what is written to it: none that is generated.

    `base` is the name of its type without its domains, `basic` the same with its length; `element` that of an array's
    elements, `label` an enum's first.
    """

    table: str  # as in SQL
    plain: str  # as people write it
    name: str
    type: str
    base: str
    basic: str
    element: str | None
    label: str | None
    not_null: bool

    @property
    def quoted(self) -> str:
        """Its name as in SQL."""
        return identifier(self.name)

    @property
    def length(self) -> int | None:
        """How many characters it holds at most, or None."""
        found = _LENGTH.search(self.basic.removesuffix("[]"))
        return int(found[1]) if found and "char" in self.basic else None


@dataclass(frozen=True)
class Tables:
    """What is there: columns by table (as in SQL) and name."""

    columns: dict[str, dict[str, Column]]
    partitioned: frozenset[str]
    primary: frozenset[tuple[str, str]]  # columns of primary keys
    unique: frozenset[tuple[str, str]]  # columns of unique indexes, primary keys too
    keys: dict[
        tuple[str, str], tuple[str, str]
    ]  # column -> the column that it refers to; where it is several, one of them

    def in_order(self) -> list[str]:
        """The tables, each behind those that its foreign keys refer to.

        Raises:
            Refused: foreign keys go in a circle.
        """
        graph: dict[str, set[str]] = {table: set() for table in sorted(self.columns)}
        for (table, _), (other, _) in self.keys.items():
            if other != table and table in graph:
                graph[table].add(other)
        try:
            return [table for table in TopologicalSorter(graph).static_order() if table in graph]
        except CycleError as error:
            raise Refused(
                f"foreign keys go in a circle: {' -> '.join(error.args[1])}",
                remedy="Nothing was changed. Rows of such tables cannot be copied one table after the other.",
            ) from None


def read_tables(connection: psycopg.Connection[Any]) -> Tables:
    """Read what a database has, without the history's tables."""
    details = union(OF_ROWS, ignored_schemas=HISTORY_SCHEMAS, ignored_tables=HISTORY_TABLES)
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    connection.execute(FOR_DETAILS)
    for kind, detail in connection.execute(details + sql.SQL("SELECT kind, detail FROM everything")):
        found[kind].append(detail)
    columns: defaultdict[str, dict[str, Column]] = defaultdict(dict)
    for each in found["column"]:
        if not each["generated"]:
            names = ("table", "plain", "name", "type", "base", "basic", "element", "label", "not_null")
            columns[each["table"]][each["name"]] = Column(*(each[name] for name in names))
    unique = [(each["table"], name, each["primary"]) for each in found["unique"] for name in each["columns"] or ()]
    return Tables(
        dict(columns),
        frozenset(each["table"] for each in found["column"] if each["partitioned"]),
        frozenset((table, name) for table, name, primary in unique if primary),
        frozenset((table, name) for table, name, _ in unique),
        {(each["table"], each["column"]): (each["refers_to"], each["referred"]) for each in found["key"]},
    )
