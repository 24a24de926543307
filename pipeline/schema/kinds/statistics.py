"""Extended statistics."""

QUERY = """
SELECT 'statistics' AS kind,
       format('%I.%I', n.name, s.stxname) AS name,
       r.name AS parent,
       concat_ws(' ', pg_get_statisticsobjdef(s.oid), 'STATISTICS ' || nullif(s.stxstattarget, -1)) AS definition
FROM pg_statistic_ext AS s
JOIN user_schema AS n ON n.oid = s.stxnamespace
JOIN relation AS r ON r.oid = s.stxrelid
"""
