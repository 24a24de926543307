"""The looks at a server between two statements: what there is, which locks a session has, and which rows it changed.

No right beyond the owner's is needed. What a look does is undone by itself, so that it leaves nothing in the transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.history.record import MEASURED
from pipeline.history.tables import SCHEMA
from pipeline.postgres.session import ServerError
from pipeline.rehearsal.values import LockHold, Rewrite, TableSize, blocked_by

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pipeline.postgres.session import Result, Row, Session

_KINDS = {
    "r": "table",
    "p": "partitioned table",
    "i": "index",
    "I": "partitioned index",
    "S": "sequence",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}
TABLES = frozenset({"table", "materialized view"})  # what has rows of its own

# Nobody of the services waits for a lock on these: PostgreSQL's catalogs, TOAST tables (only with their table), what is
# temporary, and the history, which every file's record locks.
OURS = (
    f"n.nspname <> ALL (ARRAY['pg_catalog', 'information_schema', 'pg_toast', '{SCHEMA}']) "
    "AND NOT n.nspname ^@ 'pg_temp_' AND NOT n.nspname ^@ 'pg_toast_temp_'"
)
_NAME = "format('%I.%I', n.nspname, c.relname)"

# Rolled back with the savepoint: the file's own settings come back, and the locks that a count takes go. A file cannot have
# functions or operators of its own in pg_catalog, so with this path nothing of the file is run by a look.
_ASIDE = "SAVEPOINT look;SET LOCAL search_path = pg_catalog, pg_temp;SET LOCAL statement_timeout = 0;"
_BACK = "ROLLBACK TO look;RELEASE look"

# Rows as the planner estimates them (src/backend/optimizer/util/plancat.c, estimate_rel_size); -1 where no ANALYZE has been.
_RELATIONS = f"""
SELECT c.oid, {_NAME}, c.relkind, CASE WHEN i.indrelid IS NULL THEN {_NAME} ELSE
           (SELECT format('%I.%I', tn.nspname, t.relname) FROM pg_class t JOIN pg_namespace tn ON tn.oid = t.relnamespace
             WHERE t.oid = i.indrelid) END,
       c.relfilenode,
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_total_relation_size(c.oid) ELSE 0 END,
       CASE WHEN c.relkind NOT IN ('r', 'm') OR pg_relation_size(c.oid) = 0 THEN 0
            WHEN c.reltuples < 0 OR c.relpages = 0 THEN -1
            ELSE round((c.reltuples / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::int))::numeric) END
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid
 WHERE c.relkind IN ('r', 'p', 'i', 'I', 'S', 'v', 'm', 'f') AND {OURS}
"""

# pg_locks has those of all databases of a server. A relation that is gone by now has no name here. Its rows are those of
# pg_stat_xact_user_tables, for which only what is locked comes into question.
_LOCKS = f"""
SELECT l.relation, l.mode, c.oid IS NULL, CASE WHEN c.oid IS NOT NULL THEN {_NAME} END, c.relkind,
       CASE WHEN c.oid IS NULL THEN NULL WHEN i.indrelid IS NULL THEN {_NAME} ELSE
           (SELECT format('%I.%I', tn.nspname, t.relname) FROM pg_class t JOIN pg_namespace tn ON tn.oid = t.relnamespace
             WHERE t.oid = i.indrelid) END,
       c.relfilenode, pg_stat_get_xact_tuples_inserted(c.oid), pg_stat_get_xact_tuples_updated(c.oid),
       pg_stat_get_xact_tuples_deleted(c.oid)
  FROM pg_locks l
  LEFT JOIN pg_class c ON c.oid = l.relation
  LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_index i ON i.indexrelid = c.oid
 WHERE l.pid = @pid AND l.locktype = 'relation' AND l.granted
   AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
   AND (c.oid IS NULL OR {OURS})
"""


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation that is there: its name, what it is, the table that it is of, its file, and (of tables) its size and rows."""

    name: str
    kind: str
    table: str
    file: str
    bytes: int = 0
    rows: int = 0
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """What a session has locked (oid and mode), what those relations are now, and what it did to their rows so far."""

    locks: frozenset[tuple[str, str]]
    relations: dict[str, Relation]
    changes: dict[str, tuple[int, int, int]]


NOTHING = Look(frozenset(), {}, {})


def read_relations(session: Session) -> dict[str, Relation]:
    """Read what there is, by oid, outside a transaction. Tables that were never analyzed are counted."""
    rows = session.run(f"BEGIN;{_ASIDE}{_RELATIONS};ROLLBACK")[4].rows
    found: dict[str, Relation] = {}
    for oid, name, kind, table, file, size, count in rows:
        relation = Relation(name or "", _KINDS[kind or "r"], table or "", file or "", int(size or 0), int(count or 0))
        if relation.rows < 0:
            relation = replace(relation, rows=count_now(session, relation.name), exact=True)
        found[oid or ""] = relation
    return found


def look_sql() -> str:
    """What a session sends behind a statement, in the same query, to look at itself; `parse_look` reads the answers."""
    measured = f"SELECT current_setting('{MEASURED}', true)"
    return f"{_ASIDE}{measured};{_LOCKS.replace('@pid', 'pg_backend_pid()')};{_BACK}"


def parse_look(results: Sequence[Result]) -> tuple[float, int, Look]:
    """Milliseconds and bytes of WAL of the statement before the look, and the look."""
    measured, locks = results[-4], results[-3]
    microseconds, _, wal_bytes = (measured.rows[0][0] or "0 0").partition(" ")
    return int(microseconds) / 1000, int(wal_bytes), _parse(locks.rows)


def look_at(session: Session, pid: int) -> Look:
    """Look at another session's locks."""
    return _parse(session.run(_LOCKS.replace("@pid", str(pid)))[0].rows)


def count_rows(session: Session, tables: Iterable[str]) -> dict[str, int]:
    """Count tables inside a transaction, which is as before then; one that the file's role may not read is left out."""
    counted = {}
    for table in tables:
        try:
            counted[table] = int(session.run(f"{_ASIDE}SELECT count(*) FROM ONLY {table};{_BACK}")[3].rows[0][0] or 0)
        except ServerError:
            session.run(_BACK)
    return counted


def count_now(session: Session, table: str) -> int:
    """Count a table's own rows, not those of its partitions or children."""
    return int(session.run(f"SELECT pg_catalog.count(*) FROM ONLY {table}")[0].rows[0][0] or 0)


def look_from_aside(session: Session) -> None:
    """Prepare a session that only looks: it finds the catalogs, and their operators, whatever else there is."""
    session.run("SET search_path = pg_catalog, pg_temp;SET statement_timeout = 0")


def lock_hold(relation: Relation, mode: str, held: float, *, is_new: bool) -> LockHold:
    """A lock on it as a value."""
    blocks = () if is_new else blocked_by(mode)
    return LockHold(relation.name, relation.kind, relation.table, mode, blocks, round(held, 3), is_new)


def rewrites(found: Mapping[str, Relation], counted: Mapping[str, int], known: Collection[str]) -> tuple[Rewrite, ...]:
    """Those relations, by oid, as values; `counted` are rows by name, and what is not `known` is new."""
    each = (
        Rewrite(relation.name, relation.kind, counted.get(relation.name, relation.rows), is_new=oid not in known)
        for oid, relation in found.items()
    )
    return tuple(sorted(each, key=lambda one: one.relation))


def sizes(found: Iterable[Relation]) -> tuple[TableSize, ...]:
    """The tables among them, as values."""
    tables = {
        each.name: TableSize(each.name, each.rows, each.exact, each.bytes) for each in found if each.kind in TABLES
    }
    return tuple(tables[name] for name in sorted(tables))


def wal_position(session: Session) -> str:
    """Where the WAL is now."""
    return session.run("SELECT pg_catalog.pg_current_wal_insert_lsn()")[0].rows[0][0] or ""


def wal_since(session: Session, position: str) -> int:
    """The bytes of WAL since then, everybody's."""
    sql = f"SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), {literal(position)})"
    return int(session.run(sql)[0].rows[0][0] or 0)


def _parse(rows: Sequence[Row]) -> Look:
    locks, relations, changes = set(), {}, {}
    for relation, mode, is_gone, name, kind, table, file, *counts in rows:
        oid = relation or ""
        locks.add((oid, mode or ""))
        if is_gone == "t" or kind not in _KINDS:
            continue
        relations[oid] = Relation(name or "", _KINDS[kind], table or "", file or "")
        inserted, updated, deleted = (int(count or 0) for count in counts)
        changes[oid] = inserted, updated, deleted
    return Look(frozenset(locks), relations, changes)
