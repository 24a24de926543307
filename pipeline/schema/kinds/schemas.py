"""Schemas and extensions."""

# An extension's version is not compared: it is the server's offer, and two servers of one schema may differ in it.
QUERY = """
SELECT 'schema' AS kind, quote_ident(n.name) AS name, NULL::text AS parent, o.clause AS definition
FROM user_schema AS n
JOIN owner_clause AS o ON o.role = n.owner
UNION ALL
SELECT 'extension', quote_ident(x.extname), NULL, 'SCHEMA ' || x.extnamespace::regnamespace::text
FROM pg_extension AS x
WHERE x.extname NOT IN ('plpgsql', 'neon')
"""
