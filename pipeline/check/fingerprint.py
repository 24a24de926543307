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
# text). What the server itself brought along has oids below 16384 (FirstNormalObjectId): asking for those above it lets
# most catalogs be read through their indexes, without the thousands of rows that are PostgreSQL's own.
_QUERIES: tuple[LiteralString, ...] = (
    """SELECT 'relation', concat_ws(' ', n.nspname, c.relname, c.relkind, c.relpersistence, c.relrowsecurity,
              c.relforcerowsecurity, c.relreplident, c.relispartition, c.reloptions, a.amname,
              {relation_acl},
              pg_get_expr(c.relpartbound, c.oid), CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END)
         FROM pg_class c JOIN ours n ON n.oid = c.relnamespace LEFT JOIN pg_am a ON a.oid = c.relam
        WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')""",
    """SELECT 'column', concat_ws(' ', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
              a.attidentity, a.attgenerated, a.attstorage, a.attcompression, a.attstattarget, {column_acl}, a.attoptions,
              a.attcollation, pg_get_expr(d.adbin, d.adrelid))
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN ours n ON n.oid = c.relnamespace
         LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')""",
    # a constraint's index is told by the constraint: only its name and its options are its own
    """SELECT 'index', concat_ws(' ', CASE WHEN k.oid IS NULL THEN pg_get_indexdef(i.indexrelid) ELSE c.relname END,
              c.reloptions, i.indisvalid, i.indisclustered, i.indisreplident)
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN ours n ON n.oid = c.relnamespace
         LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
        WHERE i.indexrelid >= 16384""",
    """SELECT 'constraint', concat_ws(' ', n.nspname, k.conrelid::regclass, k.contypid::regtype, k.conname, k.convalidated,
              pg_get_constraintdef(k.oid))
         FROM pg_constraint k JOIN ours n ON n.oid = k.connamespace WHERE k.oid >= 16384""",
    """SELECT 'view', concat_ws(' ', n.nspname, c.relname, pg_get_viewdef(c.oid))
         FROM pg_class c JOIN ours n ON n.oid = c.relnamespace WHERE c.oid >= 16384 AND c.relkind IN ('v', 'm')""",
    """SELECT 'function', concat_ws(' ', {function_acl}, CASE WHEN p.prokind = 'a' THEN p.oid::regprocedure::text
              ELSE pg_get_functiondef(p.oid) END)
         FROM pg_proc p JOIN ours n ON n.oid = p.pronamespace WHERE p.oid >= 16384""",
    """SELECT 'trigger', concat_ws(' ', t.tgenabled, pg_get_triggerdef(t.oid))
         FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN ours n ON n.oid = c.relnamespace
        WHERE t.oid >= 16384 AND NOT t.tgisinternal""",
    """SELECT 'rule', pg_get_ruledef(r.oid) FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
         JOIN ours n ON n.oid = c.relnamespace WHERE r.oid >= 16384 AND r.rulename <> '_RETURN'""",
    """SELECT 'policy', concat_ws(' ', p.polrelid::regclass, p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[],
              pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
         FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN ours n ON n.oid = c.relnamespace""",
    """SELECT 'type', concat_ws(' ', n.nspname, t.typname, t.typtype, t.typnotnull, t.typdefault, {type_acl},
              format_type(nullif(t.typbasetype, 0), t.typtypmod), r.rngsubtype::regtype,
              (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
         FROM pg_type t JOIN ours n ON n.oid = t.typnamespace LEFT JOIN pg_range r ON r.rngtypid = t.oid
        WHERE t.oid >= 16384 AND t.typtype IN ('e', 'd', 'r', 'c')
          AND NOT EXISTS (SELECT FROM pg_class c WHERE c.reltype = t.oid AND c.relkind <> 'c')""",
    """SELECT 'sequence', concat_ws(' ', s.seqrelid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin,
              s.seqmax, s.seqcache, s.seqcycle)
         FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN ours n ON n.oid = c.relnamespace""",
    """SELECT 'inheritance', concat_ws(' ', i.inhrelid::regclass, i.inhparent::regclass)
         FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN ours n ON n.oid = c.relnamespace""",
    """SELECT 'statistics', pg_get_statisticsobjdef(s.oid) FROM pg_statistic_ext s JOIN ours n ON n.oid = s.stxnamespace""",
    """SELECT 'comment', concat_ws(' ', i.type, i.identity, d.description)
         FROM pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) i
        WHERE d.objoid >= 16384""",
    """SELECT 'schema', concat_ws(' ', nspname, {schema_acl}, obj_description(oid, 'pg_namespace')) FROM ours""",
    """SELECT 'extension', concat_ws(' ', extname, extversion) FROM pg_extension""",
    """SELECT 'operator', concat_ws(' ', o.oid::regoperator, o.oprcode)
         FROM pg_operator o JOIN ours n ON n.oid = o.oprnamespace WHERE o.oid >= 16384""",
    """SELECT 'collation', concat_ws(' ', c.collname, c.collprovider, c.collcollate, c.colliculocale)
         FROM pg_collation c JOIN ours n ON n.oid = c.collnamespace WHERE c.oid >= 16384""",
    """SELECT 'text search', concat_ws(' ', c.cfgname) FROM pg_ts_config c JOIN ours n ON n.oid = c.cfgnamespace""",
    # what is seldom made, by its name alone
    """SELECT i.type, i.identity
         FROM (SELECT tableoid, oid FROM pg_cast UNION ALL SELECT tableoid, oid FROM pg_conversion
               UNION ALL SELECT tableoid, oid FROM pg_event_trigger UNION ALL SELECT tableoid, oid FROM pg_foreign_server
               UNION ALL SELECT tableoid, oid FROM pg_publication UNION ALL SELECT tableoid, oid FROM pg_publication_rel
               UNION ALL SELECT tableoid, oid FROM pg_publication_namespace
               UNION ALL SELECT tableoid, oid FROM pg_ts_dict
              ) o, pg_identify_object(o.tableoid, o.oid, 0) i
        WHERE o.oid >= 16384""",
    """SELECT 'default grants', concat_ws(' ', defaclnamespace, defaclobjtype, defaclacl) FROM pg_default_acl""",
    """SELECT 'database', concat_ws(' ', {database_acl}) FROM pg_database WHERE datname = current_database()""",
)


def _acl(column: LiteralString, kind: LiteralString, owner: LiteralString) -> sql.Composable:
    """Everybody's rights in order, whether they stand there or are PostgreSQL's default, which is stored as NULL."""
    return sql.SQL(
        "(SELECT string_agg(item::text, ',' ORDER BY item::text) "
        "FROM unnest(coalesce({column}, acldefault({kind}, {owner}))) item)"
    ).format(column=sql.SQL(column), kind=sql.SQL(kind), owner=sql.SQL(owner))


_ACLS = {
    "relation_acl": _acl("c.relacl", """(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char\"""", "c.relowner"),
    "column_acl": sql.SQL("coalesce(a.attacl::text, '{}')"),
    "function_acl": _acl("p.proacl", "'f'", "p.proowner"),
    "type_acl": _acl("t.typacl", "'T'", "t.typowner"),
    "schema_acl": _acl("nspacl", "'n'", "nspowner"),
    "database_acl": _acl("datacl", "'d'", "datdba"),
}


class Fingerprints:
    """Takes fingerprints over one connection. The query is prepared: to plan it takes longer than to run it."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        union = sql.SQL(" UNION ALL ").join(
            sql.SQL("({})").format(sql.SQL(query).format(**_ACLS)) for query in _QUERIES
        )
        self._connection = connection
        connection.execute("SET jit = off")
        connection.execute(
            sql.SQL(
                "PREPARE fingerprint AS WITH ours AS MATERIALIZED (SELECT oid, nspname, nspacl, nspowner FROM pg_namespace "
                "WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', {})), everything (kind, text) AS ({}) "
                "SELECT md5(string_agg(kind || text, ' ' ORDER BY kind, text)) FROM everything"
            ).format(sql.Literal(SCHEMA), union)
        )

    def take(self) -> str:
        """Hash the schema as the connection sees it now."""
        row = self._connection.execute("EXECUTE fingerprint").fetchone()
        return str(row[0]) if row else ""
