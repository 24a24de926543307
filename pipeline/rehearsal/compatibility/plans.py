"""What a plan of the server says about a statement: how it reads each table, and what it writes into which column.

Of `EXPLAIN (VERBOSE, FORMAT JSON)`; relations are (schema, name), as PostgreSQL has them in its catalogs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Relation = tuple[str, str]

# How a table is read: from end to end, from end to end in an index's order, or the rows that an index finds.
WHOLE, ORDERED, FOUND = 0, 1, 2

_INDEX_SCANS = frozenset({"Index Scan", "Index Only Scan"})
_READS = _INDEX_SCANS | {"Seq Scan", "Sample Scan", "Bitmap Heap Scan", "Tid Scan", "Tid Range Scan"}
_NULL = re.compile(r"\(?NULL::")
_NEXT = re.compile(r"nextval\('((?:[^']|'')+)'::regclass\)")  # an identity column's has no ::regclass
_PARAMETER = re.compile(r"\(?\$(\d+)\)?(?:::[^()]+(?:\(\d+(?:,\d+)?\))?(?:\[\])?)?")


@dataclass(frozen=True, slots=True)
class Reading:
    """How a table is read at its worst in a statement, and by which index where there is one."""

    how: int
    index: str = ""


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT: what goes into each column of the table, dropped ones included, in their order, as the server writes it."""

    table: Relation
    values: tuple[str, ...]

    @property
    def sequences(self) -> frozenset[str]:
        """The sequences that it takes a number of, with the rights of who runs it."""
        return frozenset(name.replace("''", "'") for value in self.values for name in _NEXT.findall(value))


@dataclass(frozen=True, slots=True)
class Work:
    """What a statement does to tables."""

    reads: Mapping[Relation, Reading]
    inserts: tuple[Insert, ...] = ()
    updates: frozenset[Relation] = frozenset()


def read_plan(document: Any) -> Work:
    """Read the JSON of an EXPLAIN."""
    reads: dict[Relation, Reading] = {}
    inserts: list[Insert] = []
    updates = set()
    for node in _nodes(document[0]["Plan"]):
        table = (node.get("Schema", ""), node.get("Relation Name", ""))
        kind = node["Node Type"]
        if kind in _READS and table[1]:
            reading = _reading(node)
            reads[table] = min(reads.get(table, reading), reading, key=lambda each: each.how)
        elif kind == "ModifyTable" and node["Operation"] == "Insert":
            sources = [each["Output"] for each in node.get("Plans", ()) if each["Parent Relationship"] == "Outer"]
            inserts.append(Insert(table, tuple(sources[0]) if sources else ()))
        elif kind == "ModifyTable":
            updates.add(table)
    return Work(reads, tuple(inserts), frozenset(updates))


def is_null(value: str) -> bool:
    """Whether what is written into a column is NULL, always."""
    return _NULL.match(value) is not None


def parameter(value: str) -> int | None:
    """The number of the parameter that is written into a column as it is, or cast."""
    found = _PARAMETER.fullmatch(value)
    return int(found[1]) if found else None


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)


def _reading(node: Mapping[str, Any]) -> Reading:
    kind = node["Node Type"]
    if kind in _INDEX_SCANS:
        return Reading(FOUND if node.get("Index Cond") or node.get("Order By") else ORDERED, node["Index Name"])
    if kind == "Bitmap Heap Scan":
        return Reading(FOUND, next((each["Index Name"] for each in _nodes(node) if "Index Name" in each), ""))
    return Reading(FOUND if kind.startswith("Tid") else WHOLE)
