"""Functions, procedures and aggregates, each with its whole text."""

# pg_get_functiondef refuses aggregates, so those are told by their parts.
QUERY = """
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
WHERE p.oid >= 16384 AND NOT EXISTS (SELECT FROM comes_along AS e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
"""
