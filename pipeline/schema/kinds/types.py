"""Enums, domains, composite types and ranges. The order of an enum's labels and of a composite's fields counts."""

QUERY = """
SELECT CASE t.typtype
           WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'composite type'
       END AS kind,
       format('%I.%I', n.name, t.typname) AS name,
       NULL::text AS parent,
       concat_ws(' ',
           CASE t.typtype
               WHEN 'e' THEN
                   (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
                    FROM pg_enum WHERE enumtypid = t.oid)
               WHEN 'd' THEN
                   concat_ws(' ', format_type(t.typbasetype, t.typtypmod),
                       (SELECT 'COLLATE ' || t.typcollation::regcollation::text FROM pg_type AS b
                        WHERE b.oid = t.typbasetype AND b.typcollation <> t.typcollation),
                       'DEFAULT ' || t.typdefault,
                       CASE WHEN t.typnotnull THEN 'NOT NULL' END,
                       (SELECT string_agg(format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), ' '
                                          ORDER BY k.conname)
                        FROM pg_constraint AS k WHERE k.contypid = t.oid AND k.contype = 'c'))
               WHEN 'r' THEN
                   (SELECT concat_ws(' ', format_type(g.rngsubtype, NULL),
                                     'CANONICAL ' || nullif(g.rngcanonical::oid, 0)::regproc::text,
                                     'SUBTYPE_DIFF ' || nullif(g.rngsubdiff::oid, 0)::regproc::text)
                    FROM pg_range AS g WHERE g.rngtypid = t.oid)
               ELSE
                   (SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                                                CASE WHEN a.attcollation <> b.typcollation
                                                     THEN 'COLLATE ' || a.attcollation::regcollation::text END),
                                      ', ' ORDER BY a.attnum)
                    FROM pg_attribute AS a JOIN pg_type AS b ON b.oid = a.atttypid
                    WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
           END,
           o.clause
       ) AS definition
FROM pg_type AS t
JOIN user_schema AS n ON n.oid = t.typnamespace
JOIN owner_clause AS o ON o.role = t.typowner
LEFT JOIN pg_class AS c ON c.oid = t.typrelid
WHERE t.oid >= 16384 AND (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c'))
  AND NOT EXISTS (SELECT FROM comes_along AS e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)
"""
