"""One module for each kind of object: a query that tells every object of that kind.

A query gives (kind, name, parent, definition). The name is qualified and unique within its kind; the parent is the name
of the relation or constraint that the object goes away with, or null; the definition is text that is equal exactly
when two objects are, on every supported version of PostgreSQL. The names `user_schema`, `relation`, `comes_along`,
`owner_clause` and `platform_role` are given by `scope.py`; no schema is on the search path, so every name comes
qualified.
"""

from __future__ import annotations

from pipeline.schema.kinds import (
    columns,
    comments,
    constraints,
    functions,
    indexes,
    others,
    policies,
    privileges,
    relations,
    rollbacks,
    schemas,
    sequences,
    statistics,
    triggers,
    types,
)

QUERIES = tuple(
    kind.QUERY
    for kind in (
        schemas,
        types,
        relations,
        columns,
        constraints,
        indexes,
        sequences,
        functions,
        triggers,
        policies,
        statistics,
        privileges,
        comments,
        others,
    )
)

IN_ROLLBACKS = (*QUERIES, rollbacks.QUERY)
