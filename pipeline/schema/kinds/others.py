"""Kinds that are rare in a service's schema: found by name, their definition not compared."""

QUERY = """
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
WHERE x.oid >= 16384 AND NOT EXISTS (SELECT FROM comes_along AS e WHERE e.classid = x.classid AND e.objid = x.oid)
"""
