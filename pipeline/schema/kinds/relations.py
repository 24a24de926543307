"""Tables, views and materialized views, with what belongs to the relation as a whole."""

# A partition's bound, row security, replica identity and storage options are one line of text each, in a fixed order;
# options are sorted, because their order means nothing.
QUERY = """
SELECT CASE c.relkind
           WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'table'
       END AS kind,
       r.name,
       NULL::text AS parent,
       concat_ws(' ',
           CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED' END,
           'PARTITION BY ' || pg_get_partkeydef(c.oid),
           CASE WHEN c.relispartition THEN 'PARTITION OF' WHEN i.parents IS NOT NULL THEN 'INHERITS' END,
           i.parents,
           pg_get_expr(c.relpartbound, c.oid),
           'OF ' || format_type(nullif(c.reloftype, 0), NULL),
           CASE WHEN c.relkind IN ('r', 'm') AND a.amname <> 'heap' THEN 'USING ' || quote_ident(a.amname) END,
           'WITH (' || (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(c.reloptions) AS o) || ')',
           'TABLESPACE ' || (SELECT quote_ident(spcname) FROM pg_tablespace AS t WHERE t.oid = c.reltablespace),
           CASE WHEN c.relrowsecurity THEN 'ENABLE ROW LEVEL SECURITY' END,
           CASE WHEN c.relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' END,
           CASE c.relreplident
               WHEN 'n' THEN 'REPLICA IDENTITY NOTHING' WHEN 'f' THEN 'REPLICA IDENTITY FULL'
               WHEN 'i' THEN 'REPLICA IDENTITY USING INDEX'
           END,
           (SELECT concat_ws(' ', 'SERVER', quote_ident(s.srvname),
                             (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(f.ftoptions) AS o))
            FROM pg_foreign_table AS f JOIN pg_foreign_server AS s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
           CASE WHEN c.relkind IN ('v', 'm') THEN 'AS ' || btrim(pg_get_viewdef(c.oid), E' ;\n') END,
           o.clause
       ) AS definition
FROM relation AS r
JOIN pg_class AS c ON c.oid = r.oid
JOIN owner_clause AS o ON o.role = c.relowner
LEFT JOIN pg_am AS a ON a.oid = c.relam
LEFT JOIN LATERAL (
    SELECT string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno) AS parents
    FROM pg_inherits WHERE inhrelid = c.oid
) AS i ON true
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')
"""
