"""For each kind of object, a query that tells every object of that kind: the only place that reads the catalogs for a schema.

Whoever compares, fingerprints, writes or draws takes the `union` of those that it needs; a kind that is added to QUERIES is
in comparison and fingerprint at once, and pg_dump knows it by itself.

A query gives (kind, name, parent, definition). The name is qualified and unique within its kind; the parent is the name
of the relation or constraint that the object goes away with, or null; the definition is text that is equal exactly
when two objects are, on every supported version of PostgreSQL. The names `user_schema`, `relation`, `implied_object`,
`owner_clause` and `platform_role` are given by `scope.py`; no schema is on the search path, so every name comes
qualified.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

from psycopg import adapters, sql  # noqa: F401 - adapters is all of psycopg: the part of a session (libpq.py) writes no bool

from pipeline.kinds import attached, namespaces, relations, scope
from pipeline.kinds.details import DETAILS, FOR_DETAILS, OF_DIAGRAM, OF_ROWS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["DETAILS", "FOR_DETAILS", "IN_ROLLBACKS", "OF_DIAGRAM", "OF_ROWS", "QUERIES", "union"]

QUERIES = (
    namespaces.SCHEMAS,
    namespaces.TYPES,
    relations.RELATIONS,
    relations.COLUMNS,
    relations.CONSTRAINTS,
    relations.INDEXES,
    relations.SEQUENCES,
    namespaces.FUNCTIONS,
    relations.TRIGGERS,
    relations.POLICIES,
    relations.STATISTICS,
    attached.PRIVILEGES,
    attached.COMMENTS,
    namespaces.OTHERS,
)
# ROLLBACKS has every comment, whatever it is on, and is quicker than COMMENTS.
IN_ROLLBACKS = (*(query for query in QUERIES if query != attached.COMMENTS), attached.ROLLBACKS)


def union(
    queries: Sequence[LiteralString],
    *,
    ignored_schemas: Collection[str],
    ignored_tables: Collection[str] = (),
    for_rollback: bool = False,
) -> sql.Composed:
    """Put the queries of kinds together as the CTE `everything`, for a SELECT to follow.

    The ignored tables' own objects are left out too. `for_rollback`: the rights of an object's owner count, and a
    constraint's index is told by the constraint.
    """
    scoped = sql.SQL(scope.QUERY).format(
        ignored_schemas=sql.Literal(list(ignored_schemas)),
        ignored_tables=sql.Literal(list(ignored_tables)),
        for_rollback=sql.Literal(for_rollback),
    )
    everything = sql.SQL(" UNION ALL ").join(sql.SQL(query) for query in queries)
    return sql.SQL("WITH ") + scoped + sql.SQL(", everything AS (") + everything + sql.SQL(") ")
