"""Sequences, free and owned by a column; never the number that they have reached."""

QUERY = """
SELECT 'sequence' AS kind,
       r.name,
       t.name AS parent,
       concat_ws(' ',
           'AS', format_type(s.seqtypid, NULL), 'START', s.seqstart, 'INCREMENT', s.seqincrement,
           'MINVALUE', s.seqmin, 'MAXVALUE', s.seqmax, 'CACHE', s.seqcache,
           CASE WHEN s.seqcycle THEN 'CYCLE' END,
           CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED' END,
           'OWNED BY ' || t.name || '.' || quote_ident(a.attname),
           o.clause
       ) AS definition
FROM relation AS r
JOIN pg_class AS c ON c.oid = r.oid
JOIN pg_sequence AS s ON s.seqrelid = r.oid
JOIN owner_clause AS o ON o.role = c.relowner
LEFT JOIN pg_depend AS d
    ON d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
    AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
LEFT JOIN relation AS t ON t.oid = d.refobjid
LEFT JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
"""
