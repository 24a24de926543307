"""Row security policies. Whether row security is on at all is told by the table."""

QUERY = """
SELECT 'policy' AS kind,
       format('%s.%I', r.name, y.polname) AS name,
       r.name AS parent,
       concat_ws(' ',
           CASE WHEN y.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
           'FOR', CASE y.polcmd
               WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL'
           END,
           'TO', (SELECT string_agg(CASE g WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g)) END, ', '
                                    ORDER BY g = 0, pg_get_userbyid(g))
                  FROM unnest(y.polroles) AS g),
           'USING (' || pg_get_expr(y.polqual, y.polrelid) || ')',
           'WITH CHECK (' || pg_get_expr(y.polwithcheck, y.polrelid) || ')'
       ) AS definition
FROM relation AS r
JOIN pg_policy AS y ON y.polrelid = r.oid
"""
