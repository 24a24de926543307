"""Comments on anything that lives in a schema."""

# pg_identify_object names every kind in one way. public's comment comes with the server.
QUERY = """
SELECT 'comment' AS kind,
       format('%s %s', i.type, i.identity) AS name,
       r.name AS parent,
       quote_literal(d.description) AS definition
FROM pg_description AS d
LEFT JOIN pg_class AS c ON d.classoid = 'pg_class'::regclass AND c.oid = d.objoid
LEFT JOIN pg_proc AS p ON d.classoid = 'pg_proc'::regclass AND p.oid = d.objoid
LEFT JOIN pg_type AS t ON d.classoid = 'pg_type'::regclass AND t.oid = d.objoid
LEFT JOIN pg_constraint AS k ON d.classoid = 'pg_constraint'::regclass AND k.oid = d.objoid
LEFT JOIN pg_trigger AS g ON d.classoid = 'pg_trigger'::regclass AND g.oid = d.objoid
LEFT JOIN pg_policy AS y ON d.classoid = 'pg_policy'::regclass AND y.oid = d.objoid
LEFT JOIN pg_statistic_ext AS s ON d.classoid = 'pg_statistic_ext'::regclass AND s.oid = d.objoid
LEFT JOIN pg_namespace AS m ON d.classoid = 'pg_namespace'::regclass AND m.oid = d.objoid
LEFT JOIN pg_index AS x ON x.indexrelid = c.oid
LEFT JOIN relation AS r ON r.oid = coalesce(x.indrelid, c.oid, nullif(k.conrelid, 0), g.tgrelid, y.polrelid)
LEFT JOIN user_schema AS n
    ON n.oid = coalesce(p.pronamespace, t.typnamespace, k.connamespace, s.stxnamespace, m.oid)
CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) AS i
WHERE (d.objoid >= 16384 OR d.classoid = 'pg_namespace'::regclass)
  AND (r.oid IS NOT NULL OR (c.oid IS NULL AND coalesce(k.conrelid, 0) = 0 AND n.oid IS NOT NULL))
  AND NOT (m.nspname IS NOT DISTINCT FROM 'public' AND d.description = 'standard public schema')
  AND NOT EXISTS (SELECT FROM comes_along AS e WHERE e.classid = d.classoid AND e.objid = d.objoid)
"""
