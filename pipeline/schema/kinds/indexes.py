"""Indexes, with those that a constraint made, and whether each can be used."""

QUERY = """
SELECT 'index' AS kind,
       r.name,
       coalesce((SELECT format('%s.%I', t.name, k.conname) FROM pg_constraint AS k
                 WHERE k.conindid = r.oid AND k.conrelid = t.oid AND k.contype IN ('p', 'u', 'x')), t.name) AS parent,
       concat_ws(' ',
           pg_get_indexdef(r.oid),
           (SELECT 'PARTITION OF ' || inhparent::regclass::text FROM pg_inherits WHERE inhrelid = r.oid),
           CASE WHEN NOT (x.indisvalid AND x.indisready AND x.indislive) THEN 'INVALID' END,
           CASE WHEN x.indisclustered THEN 'CLUSTER' END,
           CASE WHEN x.indisreplident THEN 'REPLICA IDENTITY' END,
           (SELECT 'STATISTICS ' || string_agg(a.attnum || '=' || a.attstattarget, ', ' ORDER BY a.attnum)
            FROM pg_attribute AS a WHERE a.attrelid = r.oid AND a.attstattarget <> -1)
       ) AS definition
FROM relation AS r
JOIN pg_index AS x ON x.indexrelid = r.oid
JOIN relation AS t ON t.oid = x.indrelid
"""
