"""What is attached to things of any kind: comments and rights; and what a rollback has to take back beside them."""

# Who may do what: one object for each (thing, role), its definition the rights that the role holds on the thing.
# A null list of rights stands for the built-in ones, so that a grant taken back is no difference. What the owner may do
# is left out between two databases: the owner's name differs from server to server, and so does the set (MAINTAIN came
# with PostgreSQL 17). So is who granted: only the right counts. The database stands for itself, under no name, since
# branches and tests each have their own. '*' marks a right that may be passed on.
PRIVILEGES = """
SELECT 'privilege' AS kind,
       format('%s to %s', g.thing, coalesce(quote_ident(grantee.rolname), 'PUBLIC')) AS name,
       g.parent,
       string_agg(g.privilege || CASE WHEN g.grantable THEN '*' ELSE '' END, ', ' ORDER BY g.privilege) AS definition
FROM (
    SELECT DISTINCT t.thing, t.parent, e.grantee, e.privilege_type AS privilege, e.is_grantable AS grantable
    FROM (
        SELECT 'database' AS thing, NULL::text AS parent, datdba AS owner,
               coalesce(datacl, acldefault('d', datdba)) AS acl
        FROM pg_database WHERE datname = current_database()
        UNION ALL
        SELECT format('schema %I', n.name), NULL, n.owner, coalesce(s.nspacl, acldefault('n', n.owner))
        FROM user_schema AS n JOIN pg_namespace AS s ON s.oid = n.oid
        UNION ALL
        SELECT CASE c.relkind WHEN 'S' THEN 'sequence ' ELSE 'table ' END || r.name, r.name, c.relowner,
               coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))
        FROM relation AS r JOIN pg_class AS c ON c.oid = r.oid
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        UNION ALL
        SELECT format('column %s.%I', r.name, a.attname), r.name, c.relowner, a.attacl
        FROM relation AS r
        JOIN pg_class AS c ON c.oid = r.oid AND c.relkind NOT IN ('i', 'I')
        JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped
        UNION ALL
        SELECT format('function %I.%I(%s)', n.name, p.proname, pg_get_function_identity_arguments(p.oid)),
               format('%I.%I(%s)', n.name, p.proname, pg_get_function_identity_arguments(p.oid)),
               p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
        FROM pg_proc AS p
        JOIN user_schema AS n ON n.oid = p.pronamespace
        WHERE p.oid >= 16384
          AND NOT EXISTS (SELECT FROM implied_object AS e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
        UNION ALL
        SELECT format('type %I.%I', n.name, y.typname), format('%I.%I', n.name, y.typname),
               y.typowner, coalesce(y.typacl, acldefault('T', y.typowner))
        FROM pg_type AS y
        JOIN user_schema AS n ON n.oid = y.typnamespace
        LEFT JOIN pg_class AS c ON c.oid = y.typrelid
        WHERE y.oid >= 16384 AND (y.typtype IN ('e', 'd', 'r') OR (y.typtype = 'c' AND c.relkind = 'c'))
          AND NOT EXISTS (SELECT FROM implied_object AS e WHERE e.classid = 'pg_type'::regclass AND e.objid = y.oid)
        UNION ALL
        SELECT concat_ws(' ', 'default of',
                         CASE d.defaclrole
                             WHEN me.owner THEN 'the owner' ELSE quote_ident(pg_get_userbyid(d.defaclrole))
                         END,
                         CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
                                              WHEN 'T' THEN 'types' ELSE 'schemas' END,
                         'in ' || n.name),
               NULL, d.defaclrole, d.defaclacl
        FROM pg_default_acl AS d
        CROSS JOIN (SELECT datdba AS owner FROM pg_database WHERE datname = current_database()) AS me
        LEFT JOIN user_schema AS n ON n.oid = d.defaclnamespace
        WHERE (d.defaclnamespace = 0 OR n.oid IS NOT NULL)
          AND d.defaclrole NOT IN (SELECT oid FROM platform_role)
    ) AS t
    CROSS JOIN LATERAL aclexplode(t.acl) AS e
    WHERE (e.grantee <> t.owner OR (SELECT for_rollback FROM asked))
      AND e.grantee NOT IN (SELECT oid FROM platform_role)
) AS g
LEFT JOIN pg_roles AS grantee ON grantee.oid = g.grantee
GROUP BY g.thing, g.parent, grantee.rolname
"""

# Comments on anything that lives in a schema.
# pg_identify_object names every kind in one way. public's comment comes with the server.
COMMENTS = """
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
  AND NOT EXISTS (SELECT FROM implied_object AS e WHERE e.classid = d.classoid AND e.objid = d.objoid)
"""

# What a rollback has to take back as well, though two databases with one schema may differ in it.
# colliculocale is colllocale from PostgreSQL 17 on. A text of a whole row: concat_ws() would leave out what is null, and
# so take one column's value for another's.
ROLLBACKS = """
SELECT 'extension version' AS kind, extname::text AS name, NULL::text AS parent, extversion AS definition FROM pg_extension
UNION ALL
SELECT 'operator function', o.oid::regoperator::text, NULL, o.oprcode::text
FROM pg_operator AS o WHERE o.oid >= 16384
UNION ALL
SELECT 'collation locale', c.collname::text, NULL,
       ROW(c.collprovider, c.collcollate, to_jsonb(c) ->> 'colliculocale', to_jsonb(c) ->> 'colllocale')::text
FROM pg_collation AS c WHERE c.oid >= 16384
UNION ALL
SELECT 'text search mapping', c.cfgname::text, NULL,
       (SELECT array_agg(ROW(m.maptokentype, m.mapdict::regdictionary)::text ORDER BY m.maptokentype, m.mapseqno)
        FROM pg_ts_config_map AS m WHERE m.mapcfg = c.oid)::text
FROM pg_ts_config AS c WHERE c.oid >= 16384
UNION ALL
SELECT 'dictionary', d.dictname::text, NULL, d.dictinitoption FROM pg_ts_dict AS d WHERE d.oid >= 16384
UNION ALL
SELECT 'publication', p.pubname::text, NULL,
       ROW(p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot,
           (SELECT array_agg(x.pnnspid::regnamespace::text ORDER BY x.pnnspid)
            FROM pg_publication_namespace AS x WHERE x.pnpubid = p.oid))::text
FROM pg_publication AS p
UNION ALL
SELECT 'published', p.pubname || ' ' || r.prrelid::regclass::text, NULL,
       ROW(pg_get_expr(r.prqual, r.prrelid),
           (SELECT array_agg(a.attname ORDER BY a.attname) FROM pg_attribute AS a
            WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)))::text
FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
UNION ALL
SELECT 'cast', ROW(castsource::regtype, casttarget::regtype)::text, NULL,
       ROW(nullif(castfunc, 0)::regprocedure, castcontext, castmethod)::text
FROM pg_cast WHERE oid >= 16384
UNION ALL
SELECT 'event trigger of no schema', evtname::text, NULL, ROW(evtevent, evtfoid::regproc, evtenabled, evttags)::text
FROM pg_event_trigger
UNION ALL
SELECT 'server', srvname::text, NULL, ROW(srvtype, srvversion, srvoptions)::text FROM pg_foreign_server
UNION ALL
SELECT 'comment on ' || i.type, i.identity, NULL, d.description
FROM pg_description AS d CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) AS i
WHERE d.objoid >= 16384 OR (d.classoid = 'pg_namespace'::regclass AND d.objoid = to_regnamespace('public'))
UNION ALL
SELECT 'setting', coalesce(s.setrole, 0)::regrole::text, NULL, s.setconfig::text
FROM pg_db_role_setting AS s JOIN pg_database AS d ON d.oid = s.setdatabase WHERE d.datname = current_database()
"""
