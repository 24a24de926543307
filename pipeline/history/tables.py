"""The tables of the history.

Those of yoyo 9 (schema version 2) are as yoyo makes them, column for column, so that its own `list`, `mark` and `unmark`
work on them; a test compares the two. The schema is not readable by anybody but its owner.
"""

from __future__ import annotations

SCHEMA = "migration_history"

YOYO_TABLES = ("_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock")

# What no schema has: the history's own, yoyo's tables, which stand in public until a database is adopted, and Prisma's, which
# stays there.
HISTORY_SCHEMAS = (SCHEMA,)
HISTORY_TABLES = (*YOYO_TABLES, "_prisma_migrations")

# yoyo asserts that the version is one that it knows: 2 since yoyo 6.
YOYO_VERSION = 2

YOYO = f"""
CREATE TABLE {SCHEMA}._yoyo_migration (
    migration_hash varchar(64) PRIMARY KEY,
    migration_id varchar(255),
    applied_at_utc timestamp
);
CREATE TABLE {SCHEMA}._yoyo_log (
    id varchar(36) PRIMARY KEY,
    migration_hash varchar(64),
    migration_id varchar(255),
    operation varchar(10),
    username varchar(255),
    hostname varchar(255),
    comment varchar(255),
    created_at_utc timestamp
);
CREATE TABLE {SCHEMA}._yoyo_version (
    version int NOT NULL PRIMARY KEY,
    installed_at_utc timestamp
);
CREATE TABLE {SCHEMA}.yoyo_lock (
    locked int DEFAULT 1 PRIMARY KEY,
    ctime timestamp,
    pid int NOT NULL
);
INSERT INTO {SCHEMA}._yoyo_version VALUES ({YOYO_VERSION}, pg_catalog.clock_timestamp() AT TIME ZONE 'UTC');
"""

# One row each: which environment this database is, and which passwords the runtime roles were given. Both name the Neon
# branch that they speak of, since a branch carries its parent's rows.
OURS = f"""
CREATE TABLE {SCHEMA}.environment_marker (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    environment text NOT NULL,
    branch_id text NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE TABLE {SCHEMA}.role_password (
    role_name text,
    branch_id text,
    salt text NOT NULL,
    fingerprint text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (role_name, branch_id)
);
"""

# Why pending files were let in: one row for each receipt of a rehearsal, whole, and for each deploy that went without one.
REHEARSALS = f"""
CREATE TABLE {SCHEMA}.rehearsals (
    digest varchar(64) PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('receipt', 'first', 'skipped')),
    environment text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    document text NOT NULL,
    admitted_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
"""

CREATE_SCHEMA = f"""
CREATE SCHEMA {SCHEMA};
REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC;
"""

# All or nothing: several statements in one query are one transaction.
CREATE = CREATE_SCHEMA + YOYO + OURS + REHEARSALS
