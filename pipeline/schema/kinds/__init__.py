"""For each kind of object, a query that tells every object of that kind.

A query gives (kind, name, parent, definition). The name is qualified and unique within its kind; the parent is the name
of the relation or constraint that the object goes away with, or null; the definition is text that is equal exactly
when two objects are, on every supported version of PostgreSQL. The names `user_schema`, `relation`, `implied_object`,
`owner_clause` and `platform_role` are given by `scope.py`; no schema is on the search path, so every name comes
qualified.
"""

from __future__ import annotations

from pipeline.schema.kinds import attached, namespaces, relations

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
