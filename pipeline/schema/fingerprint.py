"""A schema's fingerprint: one hash over everything that a rollback could leave behind, quick enough to take at each step.

It tells that two states differ, and not in what: for that, the objects are read in full once they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import sql

from pipeline.history.tables import SCHEMA

if TYPE_CHECKING:
    import psycopg

# Names and texts instead of oids and column numbers: what a rollback makes again has new ones. Each query gives (kind,
# text), a text of a whole row: concat_ws() would leave out what is null, and so take one column's value for another's.
# What the server itself brought along has oids below 16384 (FirstNormalObjectId): asking for those above it lets most
# catalogs be read through their indexes, without the thousands of rows that are PostgreSQL's own.
_QUERIES: tuple[LiteralString, ...] = (
    """SELECT 'relation', ROW(n.nspname, c.relname, c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
              c.relreplident, c.relispartition, c.reloptions, a.amname, {relation_acl},
              pg_get_expr(c.relpartbound, c.oid), CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END)::text
         FROM pg_class c JOIN ours n ON n.oid = c.relnamespace LEFT JOIN pg_am a ON a.oid = c.relam
        WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')""",
    """SELECT 'column', ROW(n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
              a.attidentity, a.attgenerated, a.attstorage, a.attcompression, a.attstattarget, {column_acl}, a.attoptions,
              CASE WHEN a.attcollation NOT IN (0, {default_collation}) THEN a.attcollation::regcollation END,
              pg_get_expr(d.adbin, d.adrelid))::text
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN ours n ON n.oid = c.relnamespace
         LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')""",
    # a constraint's index is told by the constraint: only its name and its options are its own
    """SELECT 'index', ROW(CASE WHEN k.oid IS NULL THEN pg_get_indexdef(i.indexrelid) ELSE c.relname END,
              c.reloptions, i.indisvalid, i.indisclustered, i.indisreplident)::text
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN ours n ON n.oid = c.relnamespace
         LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
        WHERE i.indexrelid >= 16384""",
    """SELECT 'constraint', ROW(n.nspname, k.conrelid::regclass, k.contypid::regtype, k.conname, k.convalidated,
              pg_get_constraintdef(k.oid))::text
         FROM pg_constraint k JOIN ours n ON n.oid = k.connamespace WHERE k.oid >= 16384""",
    """SELECT 'view', ROW(n.nspname, c.relname, pg_get_viewdef(c.oid))::text
         FROM pg_class c JOIN ours n ON n.oid = c.relnamespace WHERE c.oid >= 16384 AND c.relkind IN ('v', 'm')""",
    """SELECT 'function', ROW({function_acl}, CASE WHEN p.prokind = 'a' THEN p.oid::regprocedure::text
              ELSE pg_get_functiondef(p.oid) END)::text
         FROM pg_proc p JOIN ours n ON n.oid = p.pronamespace WHERE p.oid >= 16384""",
    """SELECT 'trigger', ROW(t.tgenabled, pg_get_triggerdef(t.oid))::text
         FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN ours n ON n.oid = c.relnamespace
        WHERE t.oid >= 16384 AND NOT t.tgisinternal""",
    """SELECT 'rule', ROW(r.ev_enabled, pg_get_ruledef(r.oid))::text FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
         JOIN ours n ON n.oid = c.relnamespace WHERE r.oid >= 16384 AND r.rulename <> '_RETURN'""",
    """SELECT 'policy', ROW(p.polrelid::regclass, p.polname, p.polcmd, p.polpermissive,
              (SELECT array_agg(r::regrole::text ORDER BY r::regrole::text) FROM unnest(p.polroles) r),
              pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))::text
         FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN ours n ON n.oid = c.relnamespace""",
    """SELECT 'type', ROW(n.nspname, t.typname, t.typtype, t.typnotnull, t.typdefault, {type_acl},
              format_type(nullif(t.typbasetype, 0), t.typtypmod), nullif(t.typcollation, 0)::regcollation,
              r.rngsubtype::regtype,
              (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))::text
         FROM pg_type t JOIN ours n ON n.oid = t.typnamespace LEFT JOIN pg_range r ON r.rngtypid = t.oid
        WHERE t.oid >= 16384 AND t.typtype IN ('e', 'd', 'r', 'c')
          AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')""",
    """SELECT 'sequence', ROW(s.seqrelid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax,
              s.seqcache, s.seqcycle, (SELECT ROW(a.attrelid::regclass, a.attname)::text
                 FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                WHERE d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.deptype IN ('a', 'i')
                  AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0))::text
         FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN ours n ON n.oid = c.relnamespace""",
    """SELECT 'inheritance', ROW(i.inhrelid::regclass, i.inhparent::regclass)::text
         FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN ours n ON n.oid = c.relnamespace""",
    """SELECT 'statistics', ROW(pg_get_statisticsobjdef(s.oid), s.stxstattarget)::text
         FROM pg_statistic_ext s JOIN ours n ON n.oid = s.stxnamespace""",
    """SELECT 'comment', ROW(i.type, i.identity, d.description)::text
         FROM pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) i
        WHERE d.objoid >= 16384""",
    """SELECT 'schema', ROW(nspname, {schema_acl}, obj_description(oid, 'pg_namespace'))::text FROM ours""",
    """SELECT 'extension', ROW(extname, extversion)::text FROM pg_extension""",
    """SELECT 'operator', ROW(o.oid::regoperator, o.oprcode)::text
         FROM pg_operator o JOIN ours n ON n.oid = o.oprnamespace WHERE o.oid >= 16384""",
    # colliculocale is colllocale from PostgreSQL 17 on
    """SELECT 'collation', ROW(c.collname, c.collprovider, c.collcollate, to_jsonb(c) ->> 'colliculocale',
              to_jsonb(c) ->> 'colllocale')::text
         FROM pg_collation c JOIN ours n ON n.oid = c.collnamespace WHERE c.oid >= 16384""",
    """SELECT 'text search', ROW(c.cfgname,
              (SELECT array_agg(ROW(m.maptokentype, m.mapdict::regdictionary)::text ORDER BY m.maptokentype, m.mapseqno)
                 FROM pg_ts_config_map m WHERE m.mapcfg = c.oid))::text
         FROM pg_ts_config c JOIN ours n ON n.oid = c.cfgnamespace""",
    """SELECT 'dictionary', ROW(d.dictname, d.dictinitoption)::text
         FROM pg_ts_dict d JOIN ours n ON n.oid = d.dictnamespace WHERE d.oid >= 16384""",
    """SELECT 'publication', ROW(pubname, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot)::text
         FROM pg_publication""",
    """SELECT 'published', ROW(p.pubname, r.prrelid::regclass, pg_get_expr(r.prqual, r.prrelid),
              (SELECT array_agg(a.attname ORDER BY a.attname) FROM pg_attribute a
                WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)))::text
         FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid""",
    """SELECT 'cast', ROW(castsource::regtype, casttarget::regtype, nullif(castfunc, 0)::regprocedure, castcontext,
              castmethod)::text FROM pg_cast WHERE oid >= 16384""",
    """SELECT 'event trigger', ROW(evtname, evtevent, evtfoid::regproc, evtenabled, evttags)::text FROM pg_event_trigger""",
    """SELECT 'server', ROW(srvname, srvtype, srvversion, srvoptions)::text FROM pg_foreign_server""",
    # what is seldom made, by its name alone
    """SELECT i.type, i.identity
         FROM (SELECT tableoid, oid FROM pg_conversion UNION ALL SELECT tableoid, oid FROM pg_publication_namespace
              ) o, pg_identify_object(o.tableoid, o.oid, 0) i
        WHERE o.oid >= 16384""",
    """SELECT 'default grants', ROW(defaclrole::regrole, nullif(defaclnamespace, 0)::regnamespace, defaclobjtype,
              {default_acl})::text FROM pg_default_acl""",
    """SELECT 'database', ROW({database_acl})::text FROM pg_database WHERE datname = current_database()""",
    """SELECT 'setting', ROW(nullif(s.setrole, 0)::regrole, s.setconfig)::text
         FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database()""",
)


def _sorted(rights: LiteralString) -> sql.Composable:
    """The rights in order, whichever was given first."""
    return sql.SQL("(SELECT string_agg(item::text, ',' ORDER BY item::text) FROM unnest({}) item)").format(
        sql.SQL(rights)
    )


def _acl(column: LiteralString, kind: LiteralString, owner: LiteralString) -> sql.Composable:
    """Everybody's rights, whether they stand there or are PostgreSQL's default, which is stored as NULL."""
    return _sorted(f"coalesce({column}, acldefault({kind}, {owner}))")


_PARTS = {
    "default_collation": sql.SQL("100"),  # DEFAULT_COLLATION_OID; a name for every column would take half of the time
    "relation_acl": _acl("c.relacl", """(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char\"""", "c.relowner"),
    "column_acl": sql.SQL("CASE WHEN a.attacl IS NOT NULL THEN {} END").format(_sorted("a.attacl")),
    "default_acl": _sorted("defaclacl"),
    "function_acl": _acl("p.proacl", "'f'", "p.proowner"),
    "type_acl": _acl("t.typacl", "'T'", "t.typowner"),
    "schema_acl": _acl("nspacl", "'n'", "nspowner"),
    "database_acl": _acl("datacl", "'d'", "datdba"),
}


class Fingerprints:
    """Takes fingerprints over one connection. The query is prepared: to plan it takes longer than to run it."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        union = sql.SQL(" UNION ALL ").join(
            sql.SQL("({})").format(sql.SQL(query).format(**_PARTS)) for query in _QUERIES
        )
        self._connection = connection
        connection.execute(
            sql.SQL(
                "PREPARE fingerprint AS WITH ours AS MATERIALIZED (SELECT oid, nspname, nspacl, nspowner FROM pg_namespace "
                "WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', {})), everything (kind, text) AS ({}) "
                "SELECT md5(string_agg(kind || text, ' ' ORDER BY kind, text)) FROM everything"
            ).format(sql.Literal(SCHEMA), union)
        )

    def take(self) -> str:
        """Hash the schema as the connection sees it now, with the session's own settings: names depend on search_path."""
        answers = self._connection.execute("RESET ALL; EXECUTE fingerprint")
        answers.nextset()
        row = answers.fetchone()
        return str(row[0]) if row else ""
