"""Triggers, rules and event triggers, with whether each fires."""

QUERY = """
SELECT 'trigger' AS kind,
       format('%s.%I', r.name, g.tgname) AS name,
       r.name AS parent,
       concat_ws(' ', pg_get_triggerdef(g.oid),
           CASE g.tgenabled WHEN 'D' THEN 'DISABLED' WHEN 'R' THEN 'ENABLED REPLICA' WHEN 'A' THEN 'ENABLED ALWAYS' END
       ) AS definition
FROM relation AS r
JOIN pg_trigger AS g ON g.tgrelid = r.oid
WHERE NOT g.tgisinternal
UNION ALL
SELECT 'rule', format('%s.%I', r.name, w.rulename), r.name,
       concat_ws(' ', pg_get_ruledef(w.oid),
           CASE w.ev_enabled
               WHEN 'D' THEN 'DISABLED' WHEN 'R' THEN 'ENABLED REPLICA' WHEN 'A' THEN 'ENABLED ALWAYS'
           END)
FROM relation AS r
JOIN pg_rewrite AS w ON w.ev_class = r.oid
WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT 'event trigger', quote_ident(v.evtname), NULL,
       concat_ws(' ', 'ON', v.evtevent,
           'WHEN TAG IN ' || (SELECT string_agg(t, ', ' ORDER BY t) FROM unnest(v.evttags) AS t),
           'EXECUTE', v.evtfoid::regprocedure,
           CASE v.evtenabled
               WHEN 'D' THEN 'DISABLED' WHEN 'R' THEN 'ENABLED REPLICA' WHEN 'A' THEN 'ENABLED ALWAYS'
           END)
FROM pg_event_trigger AS v
JOIN pg_proc AS p ON p.oid = v.evtfoid
JOIN user_schema AS n ON n.oid = p.pronamespace
WHERE NOT EXISTS (SELECT FROM comes_along AS e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
"""
