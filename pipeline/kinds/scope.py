"""Which objects belong to the schema, and which to the server, to an extension or to a tool's own history."""

# What the server itself brought along has oids below 16384 (FirstNormalObjectId): asking for those above it lets most
# catalogs be read through their indexes, without the thousands of rows that are PostgreSQL's own.
# `asked` says whether it is for a rollback's fingerprint, where the rights of an object's owner count. `implied_object` is
# what an extension brought, and the constructors that a range type made.
# Neon's own roles: their rights and default privileges come with the platform, not with a migration. They are the ones
# that neondatabase/neon compute_tools grants to (src/spec_apply.rs).
QUERY = """
implied_object AS (
    SELECT classid, objid FROM pg_depend
    WHERE objid >= 16384
      AND (deptype = 'e' OR (deptype = 'i' AND classid = 'pg_proc'::regclass AND refclassid = 'pg_type'::regclass))
),
asked AS (
    SELECT {for_rollback}::boolean AS for_rollback
),
platform_role AS (
    SELECT oid FROM pg_roles WHERE rolname IN ('cloud_admin', 'neon_superuser', 'web_access')
),
owner_clause AS (
    SELECT r.oid AS role,
           CASE WHEN r.oid <> d.datdba AND r.rolname <> 'pg_database_owner' AND p.oid IS NULL
                THEN 'OWNER ' || quote_ident(r.rolname) END AS clause
    FROM pg_roles AS r
    JOIN pg_database AS d ON d.datname = current_database()
    LEFT JOIN platform_role AS p ON p.oid = r.oid
),
user_schema AS (
    SELECT oid, nspname AS name, nspowner AS owner
    FROM pg_namespace AS n
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'neon') AND nspname <> ALL ({ignored_schemas})
      AND NOT EXISTS (SELECT FROM implied_object WHERE classid = 'pg_namespace'::regclass AND objid = n.oid)
),
ignored_table AS (
    SELECT c.oid
    FROM pg_class AS c JOIN user_schema AS n ON n.oid = c.relnamespace
    WHERE c.relname = ANY ({ignored_tables}) AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
),
relation AS (
    SELECT c.oid, format('%I.%I', n.name, c.relname) AS name,
           CASE WHEN n.name = 'public' THEN c.relname::text ELSE n.name || '.' || c.relname END AS plain
    FROM pg_class AS c JOIN user_schema AS n ON n.oid = c.relnamespace
    WHERE c.oid >= 16384 AND c.oid NOT IN (SELECT oid FROM ignored_table)
      AND c.oid NOT IN (SELECT indexrelid FROM pg_index WHERE indrelid IN (SELECT oid FROM ignored_table))
      AND c.oid NOT IN (SELECT objid FROM pg_depend
                        WHERE classid = 'pg_class'::regclass AND deptype IN ('a', 'i')
                          AND refclassid = 'pg_class'::regclass AND refobjid IN (SELECT oid FROM ignored_table))
      AND c.oid NOT IN (SELECT objid FROM implied_object WHERE classid = 'pg_class'::regclass)
)
"""
