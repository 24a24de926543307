"""The tables of two states of a database, side by side: which columns both have, and by what their rows are told apart."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from dbclient.quoting import literal
from pipeline.history.tables import HISTORY_SCHEMAS, HISTORY_TABLES
from pipeline.kinds import FOR_DETAILS, OF_ROWS, union

if TYPE_CHECKING:
    import psycopg

# Of a partitioned table, what its partitions take.
_SIZE = """
SELECT CASE c.relkind WHEN 'p' THEN (SELECT sum(pg_catalog.pg_table_size(p.relid)) FROM pg_catalog.pg_partition_tree(c.oid) AS p)
       ELSE pg_catalog.pg_table_size(c.oid) END::bigint FROM pg_catalog.pg_class AS c
 WHERE c.oid = {table}::pg_catalog.regclass
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column; what is `generated` is not written, and what has an `identity` is numbered by the server."""

    name: str
    type: str  # as in SQL
    base: str  # the same without domains, as the catalog names it
    not_null: bool
    generated: bool
    identity: bool


@dataclass(frozen=True)
class Table:
    """A table of one state: its name as in SQL and as people write it, and its keys without NULL, the primary one first."""

    name: str
    plain: str
    partitioned: bool
    columns: dict[str, Column]
    keys: tuple[frozenset[str], ...]

    @property
    def source(self) -> str:
        """What a query reads: a table's children are tables of their own, partitions none."""
        return self.name if self.partitioned else f"ONLY {self.name}"


@dataclass(frozen=True)
class Pair:
    """A table as it was and as it is; one side is None where it was not there then, or is not there now."""

    then: Table | None
    now: Table | None

    @property
    def either(self) -> Table:
        """The table as one of the sides has it."""
        found = self.now or self.then
        assert found is not None  # noqa: S101 - it is made of at least one
        return found

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that both sides have."""
        return tuple(name for name in self._then if name in self._now)

    def type_of(self, name: str) -> str:
        """The type of a column, without its domains, where both sides have the same; else nothing."""
        then, now = self._then[name].base, self._now[name].base
        return then if then == now else ""

    @property
    def dropped(self) -> tuple[str, ...]:
        """Columns that were there then and are not there now."""
        return tuple(name for name in self._then if name not in self._now)

    @property
    def added(self) -> tuple[str, ...]:
        """Columns that are there now and were not there then."""
        return tuple(name for name in self._now if name not in self._then)

    @property
    def key(self) -> tuple[str, ...]:
        """What tells rows apart on both sides; empty where nothing does."""
        theirs = self.then.keys if self.then else ()
        found = next((key for key in (self.now.keys if self.now else ()) if key in theirs), frozenset[str]())
        return tuple(sorted(found))

    @property
    def _then(self) -> dict[str, Column]:
        return self.then.columns if self.then else {}

    @property
    def _now(self) -> dict[str, Column]:
        return self.now.columns if self.now else {}


def read_tables(connection: psycopg.Connection[Any]) -> dict[str, Table]:
    """The tables that hold rows, by their names in SQL, without the history's."""
    details = union(OF_ROWS, ignored_schemas=HISTORY_SCHEMAS, ignored_tables=HISTORY_TABLES)
    connection.execute(FOR_DETAILS)
    columns: defaultdict[str, dict[str, Column]] = defaultdict(dict)
    plain, partitioned = {}, set()
    unique: defaultdict[str, list[tuple[bool, frozenset[str]]]] = defaultdict(list)
    for kind, detail in connection.execute(details + sql.SQL("SELECT kind, detail FROM everything")):
        table = detail["table"]
        if kind == "column":
            plain[table] = detail["plain"]
            if detail["partitioned"]:
                partitioned.add(table)
            names = ("name", "type", "base", "not_null", "generated", "identity")
            columns[table][detail["name"]] = Column(*(detail[name] for name in names))
        elif kind == "unique" and detail["whole"]:
            unique[table].append((detail["primary"], frozenset(detail["columns"] or ())))
    return {
        table: Table(
            table, plain[table], table in partitioned, columns[table], _keys(unique.get(table, []), columns[table])
        )
        for table in sorted(columns)
    }


def pairs(then: dict[str, Table], now: dict[str, Table]) -> list[Pair]:
    """Each table of either side with itself on the other one."""
    return [Pair(then.get(name), now.get(name)) for name in sorted({*then, *now})]


def size_of(connection: psycopg.Connection[Any], table: Table) -> int:
    """What a table's rows take, in bytes."""
    row = connection.execute(_SIZE.format(table=literal(table.name)).encode()).fetchone()
    return int(row[0] or 0) if row else 0


def _keys(found: list[tuple[bool, frozenset[str]]], columns: dict[str, Column]) -> tuple[frozenset[str], ...]:
    usable = [
        (primary, key)
        for primary, key in found
        if key and all(name in columns and columns[name].not_null for name in key)
    ]
    return tuple(key for _, key in sorted(usable, key=lambda each: (not each[0], len(each[1]), sorted(each[1]))))
