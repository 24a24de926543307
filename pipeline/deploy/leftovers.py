"""What a statement outside a transaction leaves in the catalog when it is cut off, and what a file's index should look like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.postgres.quoting import literal

if TYPE_CHECKING:
    from pipeline.migrations.concurrent import Concurrent
    from pipeline.postgres.session import Session


@dataclass(frozen=True, slots=True)
class Index:
    """An index that is there: its quoted name, and how it is defined, without names of index and table.

    One that is not `valid` is used by no query. While it is `written`, all writes keep it up to date all the same, and a
    `unique` one refuses rows.
    """

    name: str
    valid: bool
    definition: str
    unique: bool = False
    written: bool = False


def find_index(session: Session, concurrent: Concurrent) -> Index | None:
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
    return Index(name or "", valid == "t", shown, unique == "t", written == "t")


def expected_index(session: Session, concurrent: Concurrent) -> str:
    """How PostgreSQL would define the file's index: built on an empty copy of the table, in a transaction that is undone.

    The copy has the table's name, by which an expression of the index may call a column.

    Raises:
        ServerError: the copy or the index could not be made; the caller rolls back.
    """
    unique = "UNIQUE " if concurrent.unique else ""
    results = session.run(
        f"BEGIN;SET LOCAL client_min_messages = warning;"
        f"CREATE TEMPORARY TABLE {concurrent.bare_table} (LIKE {concurrent.table});"
        f"CREATE {unique}INDEX migration_probe ON pg_temp.{concurrent.bare_table} {concurrent.definition};"
        "SELECT pg_catalog.pg_get_indexdef('pg_temp.migration_probe'::pg_catalog.regclass);ROLLBACK"
    )
    return _without_names(next(result.rows[0][0] or "" for result in results if result.rows))


def reindex_leftovers(session: Session, concurrent: Concurrent) -> list[Index]:
    """The INVALID indexes that a cut-off REINDEX CONCURRENTLY left (suffixes _ccnew and _ccold)."""
    rows = session.run(
        "SELECT i.indexrelid::pg_catalog.regclass, i.indisunique, i.indisready "
        f"{_from_reindex_leftovers(concurrent)} ORDER BY i.indexrelid"
    )[0].rows
    return [Index(name or "", False, "", unique == "t", written == "t") for name, unique, written in rows]


def reindex_leftovers_sql(concurrent: Concurrent) -> str:
    """The names of such leftovers as one SQL expression, joined by commas: of the table and of its partitions.

    Those of TOAST tables are not among them: in their schema a table's owner may drop nothing.
    """
    return (
        "(SELECT coalesce(pg_catalog.string_agg(i.indexrelid::pg_catalog.regclass::text, ',' ORDER BY i.indexrelid), '') "
        f"{_from_reindex_leftovers(concurrent)})"
    )


def toast_leftovers(session: Session, concurrent: Concurrent) -> list[str]:
    """The names of INVALID indexes of TOAST tables that a cut-off REINDEX CONCURRENTLY left."""
    tables = _reindexed_tables(concurrent)
    rows = session.run(
        "SELECT i.indexrelid::pg_catalog.regclass FROM pg_catalog.pg_index i "
        f"JOIN pg_catalog.pg_class t ON t.reltoastrelid = i.indrelid WHERE t.oid IN ({tables}) AND NOT i.indisvalid "
        "ORDER BY i.indexrelid"
    )[0].rows
    return [row[0] or "" for row in rows]


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


def partition_state(session: Session, concurrent: Concurrent) -> str:
    """How a DETACH PARTITION finds its partition: "attached", "pending" (half detached), or "" where it is none."""
    return session.run(f"SELECT {partition_state_sql(concurrent)}")[0].rows[0][0] or ""


def partition_state_sql(concurrent: Concurrent) -> str:
    """The same as one SQL expression."""
    return (
        "coalesce((SELECT CASE WHEN inhdetachpending THEN 'pending' ELSE 'attached' END FROM pg_catalog.pg_inherits "
        f"WHERE inhrelid = pg_catalog.to_regclass({literal(concurrent.name)}) "
        f"AND inhparent = pg_catalog.to_regclass({literal(concurrent.table)})), '')"
    )


def _without_names(definition: str) -> str:
    """CREATE [UNIQUE] INDEX … USING …: what stays when the names of the index and of its table are taken out."""
    head, using, rest = definition.partition(" USING ")
    return ("UNIQUE " if head.startswith("CREATE UNIQUE") else "") + using.strip() + " " + rest
