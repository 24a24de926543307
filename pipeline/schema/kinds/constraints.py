"""Primary keys, uniqueness, foreign keys, checks and exclusions of tables."""

# The definition says DEFERRABLE, NOT VALID and NOT ENFORCED by itself. NOT NULL is told by the column: only PostgreSQL
# 18 keeps a constraint for it ('n'), and a constraint trigger ('t') is told as a trigger.
QUERY = """
SELECT 'constraint' AS kind,
       format('%s.%I', r.name, k.conname) AS name,
       r.name AS parent,
       concat_ws(' ', pg_get_constraintdef(k.oid), CASE WHEN NOT k.conislocal THEN '(inherited)' END) AS definition
FROM relation AS r
JOIN pg_constraint AS k ON k.conrelid = r.oid
WHERE k.contype IN ('p', 'u', 'f', 'c', 'x')
"""
