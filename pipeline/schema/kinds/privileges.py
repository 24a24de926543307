"""Who may do what: one object for each (thing, role), its definition the rights that the role holds on the thing."""

# A null list of rights stands for the built-in ones, so that a grant taken back is no difference. What the owner may do
# is left out between two databases: the owner's name differs from server to server, and so does the set (MAINTAIN came
# with PostgreSQL 17). So is who granted: only the right counts. The database stands for itself, under no name, since
# branches and tests each have their own. '*' marks a right that may be passed on.
QUERY = """
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
        JOIN pg_class AS c ON c.oid = r.oid
        JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped
        UNION ALL
        SELECT format('function %I.%I(%s)', n.name, p.proname, pg_get_function_identity_arguments(p.oid)),
               format('%I.%I(%s)', n.name, p.proname, pg_get_function_identity_arguments(p.oid)),
               p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
        FROM pg_proc AS p
        JOIN user_schema AS n ON n.oid = p.pronamespace
        WHERE p.oid >= 16384
          AND NOT EXISTS (SELECT FROM comes_along AS e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
        UNION ALL
        SELECT format('type %I.%I', n.name, y.typname), format('%I.%I', n.name, y.typname),
               y.typowner, coalesce(y.typacl, acldefault('T', y.typowner))
        FROM pg_type AS y
        JOIN user_schema AS n ON n.oid = y.typnamespace
        LEFT JOIN pg_class AS c ON c.oid = y.typrelid
        WHERE y.oid >= 16384 AND (y.typtype IN ('e', 'd', 'r') OR (y.typtype = 'c' AND c.relkind = 'c'))
          AND NOT EXISTS (SELECT FROM comes_along AS e WHERE e.classid = 'pg_type'::regclass AND e.objid = y.oid)
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
    WHERE (e.grantee <> t.owner OR (SELECT with_owner FROM asked))
      AND e.grantee NOT IN (SELECT oid FROM platform_role)
) AS g
LEFT JOIN pg_roles AS grantee ON grantee.oid = g.grantee
GROUP BY g.thing, g.parent, grantee.rolname
"""
