"""What is to be known of some kinds beside their definitions: parts, as JSON, for whoever writes or draws.

A query gives (kind, detail). The names within are as people write them: without quotes, and without a schema in public.
"""

# Tables (kind r), partitioned tables (p), materialized views (m) and views (v). Of a column: number, name, type, whether it is
# NOT NULL, whether it has a default.
_TABLES = """
SELECT 'table' AS kind,
       jsonb_build_object(
           'name', r.plain, 'qualified', r.name, 'label', c.relname, 'kind', c.relkind, 'part_of', p.plain,
           'columns', (SELECT coalesce(jsonb_agg(jsonb_build_array(a.attnum, a.attname,
                                                                   format_type(a.atttypid, a.atttypmod), a.attnotnull,
                                                                   a.atthasdef) ORDER BY a.attnum), '[]')
                       FROM pg_attribute AS a WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped)
       ) AS detail
FROM relation AS r
JOIN pg_class AS c ON c.oid = r.oid
LEFT JOIN pg_inherits AS h ON h.inhrelid = r.oid AND c.relispartition
LEFT JOIN relation AS p ON p.oid = h.inhparent
WHERE c.relkind IN ('r', 'p', 'm', 'v')
"""

# The columns by their numbers; an expression is 0.
_INDEXES = """
SELECT 'index',
       jsonb_build_object(
           'name', i.plain, 'table', t.plain, 'definition', pg_get_indexdef(i.oid), 'constraint', coalesce(k.conname, ''),
           'parent', p.plain, 'primary', x.indisprimary, 'unique', x.indisunique, 'partial', x.indpred IS NOT NULL,
           'columns', x.indkey::int2[]
       )
FROM pg_index AS x
JOIN relation AS i ON i.oid = x.indexrelid
JOIN relation AS t ON t.oid = x.indrelid
LEFT JOIN pg_constraint AS k ON k.conrelid = x.indrelid AND k.conindid = i.oid AND k.contype IN ('p', 'u', 'x')
LEFT JOIN pg_inherits AS h ON h.inhrelid = i.oid
LEFT JOIN relation AS p ON p.oid = h.inhparent
"""

# The columns by their numbers. With the NOT NULL of PostgreSQL 18, which has a name there.
_CONSTRAINTS = """
SELECT 'constraint',
       jsonb_build_object(
           'table', r.plain, 'name', k.conname, 'type', k.contype, 'definition', pg_get_constraintdef(k.oid),
           'own', k.conparentid = 0 AND k.coninhcount = 0, 'refers_to', p.plain,
           'columns', k.conkey
       )
FROM relation AS r
JOIN pg_constraint AS k ON k.conrelid = r.oid
LEFT JOIN relation AS p ON p.oid = k.confrelid
WHERE k.contype <> 't'
"""

# The table is that of the serial column which the sequence belongs to.
_SEQUENCES = """
SELECT 'sequence', jsonb_build_object('name', r.plain, 'table', t.plain)
FROM relation AS r
JOIN pg_sequence AS s ON s.seqrelid = r.oid
LEFT JOIN pg_depend AS d
    ON d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a'
LEFT JOIN relation AS t ON t.oid = d.refobjid
"""

# Where a column's numbers come from: an identity's sequence, one that belongs to the column, or one that its default names.
_COUNTERS = """
SELECT 'counter', to_jsonb(c)
FROM (
    SELECT DISTINCT ON (1, 2)
           t.plain AS "table", a.attname AS "column", s.plain AS sequence, q.seqincrement < 0 AS descending,
           CASE d.deptype WHEN 'i' THEN 'identity' WHEN 'a' THEN 'owned' ELSE 'shared' END AS kind
    FROM (SELECT objid AS sequence, refobjid AS relation, refobjsubid AS number, deptype FROM pg_depend
           WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')
             AND refobjsubid > 0
          UNION ALL
          SELECT d.refobjid, f.adrelid, f.adnum, 's' FROM pg_depend AS d JOIN pg_attrdef AS f ON f.oid = d.objid
           WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
             AND d.refobjid <> f.adrelid) AS d
    JOIN pg_sequence AS q ON q.seqrelid = d.sequence
    JOIN relation AS s ON s.oid = d.sequence
    JOIN relation AS t ON t.oid = d.relation
    JOIN pg_attribute AS a ON a.attrelid = d.relation AND a.attnum = d.number
    WHERE d.deptype <> 'a' OR a.atthasdef
    ORDER BY 1, 2, d.deptype
) AS c
"""

# What ALTER calls it, and the labels of an enum.
_TYPES = """
SELECT 'type',
       jsonb_build_object(
           'name', CASE WHEN n.name = 'public' THEN t.typname::text ELSE n.name || '.' || t.typname END,
           'kind', CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END,
           'labels', (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid)
       )
FROM pg_type AS t
JOIN user_schema AS n ON n.oid = t.typnamespace
LEFT JOIN pg_class AS c ON c.oid = t.typrelid
WHERE t.oid >= 16384 AND (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c')
  AND NOT EXISTS (SELECT FROM implied_object AS e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)
UNION ALL
SELECT 'routine',
       jsonb_build_object(
           'name', CASE WHEN n.name = 'public' THEN p.proname::text ELSE n.name || '.' || p.proname END,
           'kind', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END
       )
FROM pg_proc AS p
JOIN user_schema AS n ON n.oid = p.pronamespace
WHERE p.oid >= 16384 AND NOT EXISTS (SELECT FROM implied_object AS e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
"""

# Roles are the server's, and none of the schema's; whether one has a right on the schema public is this database's.
_SCHEMAS_AND_ROLES = """
SELECT 'schema', jsonb_build_object('name', n.name) FROM user_schema AS n
UNION ALL
SELECT 'role',
       jsonb_build_object(
           'name', r.rolname,
           'in_public', EXISTS (SELECT FROM pg_namespace AS s, aclexplode(s.nspacl) AS a
                                WHERE s.nspname = 'public' AND a.grantee = r.oid)
       )
FROM pg_roles AS r
WHERE r.rolname !~ '^pg_'
"""

# Of tables that hold rows, by their names in SQL: each column with its type, without its domains; what is unique, and whether
# that holds for all rows (`whole`); and the foreign keys, column by column. `label` is the first one of an enum, `element` the
# type of an array's elements.
_ROWS = """
SELECT 'column' AS kind,
       jsonb_build_object(
           'table', r.name, 'plain', r.plain, 'partitioned', c.relkind = 'p', 'name', a.attname,
           'type', format_type(a.atttypid, a.atttypmod), 'base', b.typname, 'basic', format_type(b.oid, w.modifier),
           'element', e.typname, 'not_null', a.attnotnull, 'generated', a.attgenerated <> '',
           'identity', a.attidentity <> '',
           'label', (SELECT enumlabel FROM pg_enum WHERE enumtypid = b.oid ORDER BY enumsortorder LIMIT 1)
       ) AS detail
FROM relation AS r
JOIN pg_class AS c ON c.oid = r.oid AND c.relkind IN ('r', 'p') AND NOT c.relispartition
JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
CROSS JOIN LATERAL (
    WITH RECURSIVE walk AS (
        SELECT t.oid, t.typtype, t.typbasetype, a.atttypmod AS modifier, t.typtypmod FROM pg_type AS t WHERE t.oid = a.atttypid
        UNION ALL
        SELECT t.oid, t.typtype, t.typbasetype, walk.typtypmod, t.typtypmod
        FROM walk JOIN pg_type AS t ON t.oid = walk.typbasetype AND walk.typtype = 'd'
    )
    SELECT oid, modifier FROM walk WHERE typtype <> 'd'
) AS w
JOIN pg_type AS b ON b.oid = w.oid
LEFT JOIN pg_type AS e ON e.oid = b.typelem AND b.typcategory = 'A'
UNION ALL
SELECT 'unique',
       jsonb_build_object(
           'table', r.name, 'primary', x.indisprimary,
           'whole', x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL,
           'columns', (SELECT jsonb_agg(a.attname) FROM pg_attribute AS a
                       WHERE a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey::int2[]))
       )
FROM relation AS r JOIN pg_index AS x ON x.indrelid = r.oid AND x.indisunique
UNION ALL
SELECT 'key',
       jsonb_build_object('table', r.name, 'column', a.attname, 'refers_to', p.name, 'referred', f.attname)
FROM relation AS r
JOIN pg_constraint AS k ON k.conrelid = r.oid AND k.contype = 'f'
JOIN relation AS p ON p.oid = k.confrelid
CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS n (own, other)
JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = n.own
JOIN pg_attribute AS f ON f.attrelid = k.confrelid AND f.attnum = n.other
"""

OF_ROWS = (_ROWS,)
DETAILS = (_TABLES, _INDEXES, _CONSTRAINTS, _SEQUENCES, _COUNTERS, _TYPES, _SCHEMAS_AND_ROLES)
OF_DIAGRAM = (_TABLES, _INDEXES, _CONSTRAINTS)
# JIT would compile for longer than the query runs; and the planner takes what `scope` gives for one row, so that it would go
# through a thousand relations for each of a thousand.
FOR_DETAILS = "SET jit = off; SET enable_nestloop = off"
