"""Observe: what the catalog shows of a concurrent statement's effect, and of what it left when it was cut off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbclient.quoting import literal
from pipeline.postgres.session import ServerError

if TYPE_CHECKING:
    from pipeline.migrations.concurrent import Concurrent
    from pipeline.postgres.session import Session


@dataclass(frozen=True, slots=True)
class IndexState:
    """An index that is there: its quoted name, and how it is defined, without names of index and table.

    One that is not `valid` is used by no query. While it is `written`, all writes keep it up to date all the same, and a
    `unique` one refuses rows.
    """

    name: str
    valid: bool
    definition: str
    unique: bool = False
    written: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a statement's effect; each statement has its own part, and the others are empty.

    `index` is what has the name of the index, and is `as_written` when it is the one that the file would build. `leftovers`
    are the INVALID indexes of a REINDEX that was cut off, `toast` the names of those that only a superuser can drop.
    `partition` is "attached", "pending" (half detached), or "" where the partition is none.
    """

    index: IndexState | None = None
    as_written: bool = False
    leftovers: tuple[IndexState, ...] = ()
    toast: tuple[str, ...] = ()
    partition: str = ""


def observe(session: Session, concurrent: Concurrent, *, compare: bool = False) -> Found:
    """Look at what there is. `compare`: also whether an index is as written, for which an empty copy of its table is made."""
    if concurrent.kind in {"create index", "drop index"}:
        index = _find_index(session, concurrent)
        compare = compare and index is not None and concurrent.kind == "create index"
        return Found(index, as_written=compare and index is not None and _is_as_written(session, concurrent, index))
    if concurrent.kind.startswith("reindex"):
        toast = _toast_leftovers(session, concurrent)
        return Found(leftovers=_reindex_leftovers(session, concurrent), toast=toast)
    if concurrent.kind == "detach partition":
        return Found(partition=session.run(f"SELECT {existed_sql(concurrent)}")[0].rows[0][0] or "")
    return Found()


def existed_sql(concurrent: Concurrent) -> str:
    """What a file's start notes of what is there already, as one SQL expression: a name, names, a state, or ''."""
    if concurrent.kind in {"create index", "drop index"}:
        return f"coalesce(pg_catalog.to_regclass({literal(concurrent.name)})::oid::text, '')"
    if concurrent.kind.startswith("reindex"):
        # not those of TOAST tables: in their schema a table's owner may drop nothing
        return (
            "(SELECT coalesce(pg_catalog.string_agg(i.indexrelid::pg_catalog.regclass::text, ',' ORDER BY i.indexrelid), '') "
            f"{_from_reindex_leftovers(concurrent)})"
        )
    if concurrent.kind == "detach partition":
        return (
            "coalesce((SELECT CASE WHEN inhdetachpending THEN 'pending' ELSE 'attached' END FROM pg_catalog.pg_inherits "
            f"WHERE inhrelid = pg_catalog.to_regclass({literal(concurrent.name)}) "
            f"AND inhparent = pg_catalog.to_regclass({literal(concurrent.table)})), '')"
        )
    return "''"


def _find_index(session: Session, concurrent: Concurrent) -> IndexState | None:
    """The index that the statement names, if anything has that name. A relation of another kind counts as not valid."""
    rows = session.run(
        "SELECT c.oid::pg_catalog.regclass, coalesce(i.indisvalid AND i.indisready, false), "
        "i.indrelid::pg_catalog.regclass = pg_catalog.to_regclass("
        f"{literal(concurrent.table or concurrent.name)}), pg_catalog.pg_get_indexdef(c.oid), i.indisunique, i.indisready "
        "FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid "
        f"WHERE c.oid = pg_catalog.to_regclass({literal(concurrent.name)})"
    )[0].rows
    if not rows:
        return None
    name, valid, on_that_table, definition, unique, written = rows[0]
    shown = _without_names(definition or "") if on_that_table == "t" or not concurrent.table else definition or ""
    return IndexState(name or "", valid == "t", shown, unique == "t", written == "t")


def _is_as_written(session: Session, concurrent: Concurrent, index: IndexState) -> bool:
    try:
        return index.definition == _expected_index(session, concurrent)
    except ServerError:
        session.run("ROLLBACK")
        return False


def _expected_index(session: Session, concurrent: Concurrent) -> str:
    """How PostgreSQL would define the file's index: built on an empty copy of the table, in a transaction that is undone.

    The copy has the table's name, by which an expression of the index may call a column.
    """
    unique = "UNIQUE " if concurrent.unique else ""
    results = session.run(
        f"BEGIN;SET LOCAL client_min_messages = warning;"
        f"CREATE TEMPORARY TABLE {concurrent.bare_table} (LIKE {concurrent.table});"
        f"CREATE {unique}INDEX migration_probe ON pg_temp.{concurrent.bare_table} {concurrent.definition};"
        "SELECT pg_catalog.pg_get_indexdef('pg_temp.migration_probe'::pg_catalog.regclass);ROLLBACK"
    )
    return _without_names(next(result.rows[0][0] or "" for result in results if result.rows))


def _reindex_leftovers(session: Session, concurrent: Concurrent) -> tuple[IndexState, ...]:
    """The INVALID indexes that a cut-off REINDEX CONCURRENTLY left (suffixes _ccnew and _ccold)."""
    rows = session.run(
        "SELECT i.indexrelid::pg_catalog.regclass, i.indisunique, i.indisready "
        f"{_from_reindex_leftovers(concurrent)} ORDER BY i.indexrelid"
    )[0].rows
    return tuple(IndexState(name or "", False, "", unique == "t", written == "t") for name, unique, written in rows)


def _toast_leftovers(session: Session, concurrent: Concurrent) -> tuple[str, ...]:
    """The names of INVALID indexes of TOAST tables that a cut-off REINDEX CONCURRENTLY left."""
    tables = _reindexed_tables(concurrent)
    rows = session.run(
        "SELECT i.indexrelid::pg_catalog.regclass FROM pg_catalog.pg_index i "
        f"JOIN pg_catalog.pg_class t ON t.reltoastrelid = i.indrelid WHERE t.oid IN ({tables}) AND NOT i.indisvalid "
        "ORDER BY i.indexrelid"
    )[0].rows
    return tuple(row[0] or "" for row in rows)


def _from_reindex_leftovers(concurrent: Concurrent) -> str:
    return (
        "FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
        f"WHERE i.indrelid IN ({_reindexed_tables(concurrent)}) "
        r"AND NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$'"
    )


def _reindexed_tables(concurrent: Concurrent) -> str:
    """A query for the table of a REINDEX and its partitions."""
    relation = f"pg_catalog.to_regclass({literal(concurrent.name)})"
    table = (
        relation
        if concurrent.kind == "reindex table"
        else f"(SELECT indrelid FROM pg_catalog.pg_index WHERE indexrelid = {relation})"
    )
    return f"SELECT {table} UNION SELECT relid FROM pg_catalog.pg_partition_tree({table})"


def _without_names(definition: str) -> str:
    """CREATE [UNIQUE] INDEX … USING …: what stays when the names of the index and of its table are taken out."""
    head, using, rest = definition.partition(" USING ")
    return ("UNIQUE " if head.startswith("CREATE UNIQUE") else "") + using.strip() + " " + rest
