"""Schemas, and what stands in one by itself: types, functions, and the kinds that are rare."""

# Schemas and extensions.
# An extension's version is not compared: it is the server's offer, and two servers of one schema may differ in it.
SCHEMAS = """
SELECT 'schema' AS kind, quote_ident(n.name) AS name, NULL::text AS parent, o.clause AS definition
FROM user_schema AS n
JOIN owner_clause AS o ON o.role = n.owner
UNION ALL
SELECT 'extension', quote_ident(x.extname), NULL, 'SCHEMA ' || x.extnamespace::regnamespace::text
FROM pg_extension AS x
WHERE x.extname NOT IN ('plpgsql', 'neon')
"""

# Enums, domains, composite types and ranges. The order of an enum's labels and of a composite's fields counts.
TYPES = """
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
  AND NOT EXISTS (SELECT FROM implied_object AS e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)
"""

# Functions, procedures and aggregates, each with its whole text.
# pg_get_functiondef refuses aggregates, so those are told by their parts.
FUNCTIONS = """
SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END AS kind,
       format('%I.%I(%s)', n.name, p.proname, pg_get_function_identity_arguments(p.oid)) AS name,
       NULL::text AS parent,
       concat_ws(' ',
           CASE WHEN p.prokind = 'a' THEN
               (SELECT concat_ws(' ', 'SFUNC', g.aggtransfn, 'STYPE', format_type(g.aggtranstype, NULL),
                                 'FINALFUNC', g.aggfinalfn, 'COMBINEFUNC', g.aggcombinefn, 'INITCOND', g.agginitval,
                                 'KIND', g.aggkind)
                FROM pg_aggregate AS g WHERE g.aggfnoid = p.oid)
           ELSE btrim(pg_get_functiondef(p.oid), E' \n') END,
           o.clause
       ) AS definition
FROM pg_proc AS p
JOIN user_schema AS n ON n.oid = p.pronamespace
JOIN owner_clause AS o ON o.role = p.proowner
WHERE p.oid >= 16384 AND NOT EXISTS (SELECT FROM implied_object AS e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
"""

# Kinds that are rare in a service's schema: found by name, their definition not compared.
OTHERS = """
SELECT i.type AS kind, i.identity AS name, NULL::text AS parent, '' AS definition
FROM (
    SELECT 'pg_operator'::regclass AS classid, oid, oprnamespace AS namespace FROM pg_operator
    UNION ALL SELECT 'pg_opclass'::regclass, oid, opcnamespace FROM pg_opclass
    UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfnamespace FROM pg_opfamily
    UNION ALL SELECT 'pg_collation'::regclass, oid, collnamespace FROM pg_collation
    UNION ALL SELECT 'pg_conversion'::regclass, oid, connamespace FROM pg_conversion
    UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgnamespace FROM pg_ts_config
    UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictnamespace FROM pg_ts_dict
    UNION ALL SELECT 'pg_ts_parser'::regclass, oid, prsnamespace FROM pg_ts_parser
    UNION ALL SELECT 'pg_ts_template'::regclass, oid, tmplnamespace FROM pg_ts_template
) AS x
JOIN user_schema AS n ON n.oid = x.namespace
CROSS JOIN LATERAL pg_identify_object(x.classid, x.oid, 0) AS i
WHERE x.oid >= 16384 AND NOT EXISTS (SELECT FROM implied_object AS e WHERE e.classid = x.classid AND e.objid = x.oid)
"""
