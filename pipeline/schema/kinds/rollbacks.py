"""What a rollback has to take back as well, though two databases with one schema may differ in it."""

# colliculocale is colllocale from PostgreSQL 17 on. A text of a whole row: concat_ws() would leave out what is null, and
# so take one column's value for another's.
QUERY = """
SELECT 'extension version' AS kind, extname::text AS name, NULL::text AS parent, extversion AS definition FROM pg_extension
UNION ALL
SELECT 'index options', r.name, NULL, c.reloptions::text
FROM relation AS r JOIN pg_class AS c ON c.oid = r.oid WHERE c.relkind IN ('i', 'I')
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
WHERE d.objoid >= 16384
UNION ALL
SELECT 'setting', coalesce(s.setrole, 0)::regrole::text, NULL, s.setconfig::text
FROM pg_db_role_setting AS s JOIN pg_database AS d ON d.oid = s.setdatabase WHERE d.datname = current_database()
"""
