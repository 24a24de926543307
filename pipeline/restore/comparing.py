"""What became of a table's rows between two states, counted by the two servers: no row and no value leaves either of them.

Each side cuts its rows into groups by a hash of the key and answers with one number for each group. Only of groups that
differ are the hashes of keys and rows taken from now to then (16 bytes a row, into a table that ends with the session), where
the server joins them. Hashes have 64 bits: of a billion rows two keys are taken for one with a chance of 3 %.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dbclient.quoting import identifier
from pipeline.restore.tables import pairs, read_tables, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg

    from pipeline.deploy.observer import Observer
    from pipeline.restore.tables import Pair, Table

GROUPS = 1024
# Both sides read a table whole; above this it is compared when somebody asks for it.
LARGE = 20 << 30  # bytes
_NOW = "pg_temp.rows_now"
# Types whose hash is equal where they are; the others, and a column whose type is another one by now, are hashed as text.
_HASHED = frozenset(
    {
        "bool",
        "int2",
        "int4",
        "int8",
        "float4",
        "float8",
        "numeric",
        "text",
        "varchar",
        "bpchar",
        "uuid",
        "date",
        "time",
        "timetz",
        "timestamp",
        "timestamptz",
        "interval",
        "bytea",
        "jsonb",
        "inet",
        "cidr",
        "oid",
        "name",
    }
)


@dataclass(frozen=True, slots=True)
class TableChanges:
    """A table then and now, in rows. None: it was not there, or was not compared (`uncompared` says why).

    `changed` counts by key, and is None for a table without one: there a row that changed is one gone and one new.
    """

    table: str
    key: tuple[str, ...] = ()
    then: int | None = None
    now: int | None = None
    gone: int | None = None
    new: int | None = None
    changed: int | None = None
    dropped: tuple[str, ...] = ()  # columns
    added: tuple[str, ...] = ()
    uncompared: str = ""

    @property
    def is_same(self) -> bool:
        """Whether nothing of it is known to differ."""
        return not (self.gone or self.new or self.changed or self.dropped or self.added or self.uncompared) and (
            None not in {self.then, self.now}
        )


@dataclass(frozen=True)
class Sides:
    """Sessions on both states. Of `now`, nothing is ever written."""

    then: psycopg.Connection[Any]
    now: psycopg.Connection[Any]

    def pairs(self) -> list[Pair]:
        """The tables of both."""
        return pairs(read_tables(self.then), read_tables(self.now))


def compare(sides: Sides, observer: Observer, *, large: bool = False) -> Iterator[TableChanges]:
    """Compare every table, one after the other. `large`: also those above LARGE."""
    for pair in sides.pairs():
        observer.working(f"comparing {pair.either.plain}")
        yield compare_table(sides, pair, large=large)[0]


def compare_table(sides: Sides, pair: Pair, *, large: bool = False) -> tuple[TableChanges, str]:
    """Compare one table; and the condition, on the table of then as t, that its rows which are gone fulfil in that session."""
    base = TableChanges(pair.either.plain, pair.key, dropped=pair.dropped, added=pair.added)
    bytes_ = max(
        size_of(session, table)
        for session, table in ((sides.then, pair.then), (sides.now, pair.now))
        if table is not None
    )
    if bytes_ > LARGE and not large:
        return replace(base, uncompared=f"{bytes_ >> 30} GiB: compared with --large"), "false"
    if pair.then is None or pair.now is None:
        there = _one(sides.then if pair.now is None else sides.now, f"SELECT count(*) FROM {pair.either.source}")
        if pair.now is None:
            return replace(base, dropped=(), then=there, gone=there, new=0, changed=0), "true"
        return replace(base, added=(), now=there, gone=0, new=there, changed=0), "false"
    # both sides of what is compared: a table that is written to meanwhile has to be one state
    sides.now.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        before, after = (
            _groups(session, pair, table) for session, table in ((sides.then, pair.then), (sides.now, pair.now))
        )
        differing = sorted(group for group in {*before, *after} if before.get(group) != after.get(group))
        _bring(sides, pair, differing)
    finally:
        sides.now.execute("ROLLBACK")
    gone, new, changed = _count(sides.then, pair, differing) if differing else (0, 0, 0)
    counted = replace(
        base,
        then=sum(count for count, _ in before.values()),
        now=sum(count for count, _ in after.values()),
        gone=gone,
        new=new,
        changed=changed if pair.key else None,
    )
    key = _hash(pair, pair.key or pair.columns)
    return counted, f"{_in_groups(key, differing)} AND NOT EXISTS (SELECT FROM {_NOW} AS n WHERE n.k = {key})"


def _hash(pair: Pair, columns: Sequence[str]) -> str:
    """One number of the values of some columns of t, by their types' own hashes: of their texts it takes four times as long."""
    values = (f"t.{identifier(name)}{'' if pair.type_of(name) in _HASHED else '::text'}" for name in columns)
    return f"pg_catalog.hash_record_extended(ROW({', '.join(values)}), 0)"


def _hashes(pair: Pair, table: Table, groups: Sequence[int] | None = None) -> str:
    """Each row's key (k) and all of it (r), of all groups or some."""
    row = _hash(pair, pair.columns)
    key = _hash(pair, pair.key) if pair.key else row
    chosen = f" WHERE {_in_groups(key, groups)}" if groups is not None else ""
    return f"SELECT {key} AS k, {row} AS r FROM {table.source} AS t{chosen}"


def _in_groups(key: str, groups: Sequence[int]) -> str:
    if len(groups) == GROUPS:
        return "true"
    return f"({key} & {GROUPS - 1}) = ANY ('{{{','.join(map(str, groups))}}}'::bigint[])"


def _groups(session: psycopg.Connection[Any], pair: Pair, table: Table) -> dict[int, tuple[int, int]]:
    """Of each group how many rows it has, and the sum of what they are."""
    query = (
        f"SELECT k & {GROUPS - 1}, count(*), sum(pg_catalog.hashint8extended(r, k)) "
        f"FROM ({_hashes(pair, table)}) AS h GROUP BY 1"
    )
    return {int(group): (int(count), int(total)) for group, count, total in session.execute(query.encode())}


def _bring(sides: Sides, pair: Pair, groups: Sequence[int]) -> None:
    """Bring the hashes of now to where then is. They go through this process in blocks that nobody takes apart."""
    sides.then.execute(f"DROP TABLE IF EXISTS {_NOW}".encode())
    sides.then.execute(f"CREATE TEMP TABLE {_NOW.partition('.')[2]} (k bigint, r bigint)".encode())
    assert pair.now is not None  # noqa: S101 - compare_table has seen to it
    with (
        sides.now.cursor().copy(
            f"COPY ({_hashes(pair, pair.now, groups)}) TO STDOUT (FORMAT binary)".encode()
        ) as source,
        sides.then.cursor().copy(f"COPY {_NOW} FROM STDIN (FORMAT binary)".encode()) as target,
    ):
        for block in source:
            target.write(block)
    sides.then.execute(f"CREATE INDEX ON {_NOW} (k)".encode())
    sides.then.execute(f"ANALYZE {_NOW}".encode())


def _count(session: psycopg.Connection[Any], pair: Pair, groups: Sequence[int]) -> tuple[int, int, int]:
    """How many rows are gone, new and changed."""
    assert pair.then is not None  # noqa: S101 - likewise
    then = _hashes(pair, pair.then, groups)
    if pair.key:
        query = (
            "SELECT count(*) FILTER (WHERE n.k IS NULL), count(*) FILTER (WHERE t.k IS NULL), "
            f"count(*) FILTER (WHERE t.r <> n.r) FROM ({then}) AS t FULL JOIN {_NOW} AS n USING (k)"
        )
    else:
        query = (
            "SELECT coalesce(sum(greatest(coalesce(t.c, 0) - coalesce(n.c, 0), 0)), 0), "
            "coalesce(sum(greatest(coalesce(n.c, 0) - coalesce(t.c, 0), 0)), 0), 0 "
            f"FROM (SELECT r, count(*) AS c FROM ({then}) AS h GROUP BY r) AS t "
            f"FULL JOIN (SELECT r, count(*) AS c FROM {_NOW} GROUP BY r) AS n USING (r)"
        )
    row = session.execute(query.encode()).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has one
    return int(row[0]), int(row[1]), int(row[2])


def _one(session: psycopg.Connection[Any], query: str) -> int:
    row = session.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0
