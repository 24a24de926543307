"""What a rollback may leave behind or take too much of, kind by kind: each is seen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.check.rollbacks import unproven_rollbacks
from pipeline.migrations import read_folder
from pipeline.schema.replay import replay
from tests.support.until import until

if TYPE_CHECKING:
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from pipeline.migrations import MigrationFile
    from tests.support.server import PostgresServer

# (what the migration does, what would take it back); all stand on the things of _GROUND
_CHANGES = {
    "table": ("CREATE TABLE a (id int);", "DROP TABLE a;"),
    "column": ("ALTER TABLE t ADD COLUMN c int;", "ALTER TABLE t DROP COLUMN c;"),
    "default": ("ALTER TABLE t ALTER n SET DEFAULT 1;", "ALTER TABLE t ALTER n DROP DEFAULT;"),
    "not_null": ("ALTER TABLE t ALTER n SET NOT NULL;", "ALTER TABLE t ALTER n DROP NOT NULL;"),
    "column_type": ("ALTER TABLE t ALTER n TYPE bigint;", "ALTER TABLE t ALTER n TYPE int;"),
    "column_storage": ("ALTER TABLE t ALTER s SET STORAGE PLAIN;", "ALTER TABLE t ALTER s SET STORAGE EXTENDED;"),
    "column_name": ("ALTER TABLE t RENAME n TO m;", "ALTER TABLE t RENAME m TO n;"),
    "table_name": ("ALTER TABLE t RENAME TO u;", "ALTER TABLE u RENAME TO t;"),
    "table_options": ("ALTER TABLE t SET (fillfactor = 70);", "ALTER TABLE t RESET (fillfactor);"),
    "replica_identity": ("ALTER TABLE t REPLICA IDENTITY FULL;", "ALTER TABLE t REPLICA IDENTITY DEFAULT;"),
    "row_security": ("ALTER TABLE t ENABLE ROW LEVEL SECURITY;", "ALTER TABLE t DISABLE ROW LEVEL SECURITY;"),
    "policy": ("CREATE POLICY p ON t USING (true);", "DROP POLICY p ON t;"),
    "policy_turned_round": (
        "DROP POLICY guard ON t; CREATE POLICY guard ON t FOR UPDATE USING (id > 0);",
        "DROP POLICY guard ON t; CREATE POLICY guard ON t FOR UPDATE WITH CHECK (id > 0);",
    ),
    "index": ("CREATE INDEX i ON t (n);", "DROP INDEX i;"),
    "index_options": ("ALTER INDEX t_s SET (fillfactor = 70);", "ALTER INDEX t_s RESET (fillfactor);"),
    "key_options": ("ALTER INDEX t_pkey SET (fillfactor = 70);", "ALTER INDEX t_pkey RESET (fillfactor);"),
    "clustered": ("ALTER TABLE t CLUSTER ON t_pkey;", "ALTER TABLE t SET WITHOUT CLUSTER;"),
    "unique": ("ALTER TABLE t ADD CONSTRAINT q UNIQUE (n);", "ALTER TABLE t DROP CONSTRAINT q;"),
    "key_columns": (
        "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD CONSTRAINT t_pkey PRIMARY KEY (id, s);",
        "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD CONSTRAINT t_pkey PRIMARY KEY (id); ALTER TABLE t ALTER s DROP NOT NULL;",
    ),
    "key_deferrable": (
        "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD CONSTRAINT t_pkey PRIMARY KEY (id) DEFERRABLE;",
        "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD CONSTRAINT t_pkey PRIMARY KEY (id);",
    ),
    "exclusion": (
        "ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING gist (r WITH &&);",
        "ALTER TABLE t DROP CONSTRAINT x;",
    ),
    "check": ("ALTER TABLE t ADD CONSTRAINT k CHECK (n > 0) NOT VALID;", "ALTER TABLE t DROP CONSTRAINT k;"),
    "foreign_key": ("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (n) REFERENCES t;", "ALTER TABLE t DROP CONSTRAINT f;"),
    "view": ("CREATE VIEW a AS SELECT id FROM t;", "DROP VIEW a;"),
    "view_text": (
        "CREATE OR REPLACE VIEW v AS SELECT id FROM t WHERE n = 1;",
        "CREATE OR REPLACE VIEW v AS SELECT id FROM t;",
    ),
    "function": ("CREATE FUNCTION a() RETURNS int LANGUAGE sql AS 'SELECT 1';", "DROP FUNCTION a();"),
    "function_body": (
        "CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 2';",
        "CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';",
    ),
    "aggregate": ("CREATE AGGREGATE a (int) (sfunc = int4pl, stype = int);", "DROP AGGREGATE a (int);"),
    "trigger": (
        "CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();",
        "DROP TRIGGER g ON t;",
    ),
    "trigger_off": ("ALTER TABLE t DISABLE TRIGGER t_touch;", "ALTER TABLE t ENABLE TRIGGER t_touch;"),
    "rule": ("CREATE RULE l AS ON DELETE TO t DO INSTEAD NOTHING;", "DROP RULE l ON t;"),
    "rule_off": ("ALTER TABLE child DISABLE RULE no_delete;", "ALTER TABLE child ENABLE RULE no_delete;"),
    "enum": ("CREATE TYPE a AS ENUM ('b');", "DROP TYPE a;"),
    "domain": ("CREATE DOMAIN a AS int CHECK (VALUE > 0);", "DROP DOMAIN a;"),
    "domain_collation": (
        'DROP DOMAIN word; CREATE DOMAIN word AS text COLLATE "C";',
        "DROP DOMAIN word; CREATE DOMAIN word AS text;",
    ),
    "composite": ("CREATE TYPE a AS (b int);", "DROP TYPE a;"),
    "range": ("CREATE TYPE a AS RANGE (subtype = time);", "DROP TYPE a;"),
    "sequence": ("CREATE SEQUENCE a;", "DROP SEQUENCE a;"),
    "sequence_step": ("ALTER SEQUENCE numbers INCREMENT 5;", "ALTER SEQUENCE numbers INCREMENT 1;"),
    "sequence_owner": ("ALTER SEQUENCE numbers OWNED BY t.n;", "ALTER SEQUENCE numbers OWNED BY NONE;"),
    "inheritance": ("ALTER TABLE child INHERIT t;", "ALTER TABLE child NO INHERIT t;"),
    "statistics": ("CREATE STATISTICS a ON n, s FROM t;", "DROP STATISTICS a;"),
    "statistics_target": ("ALTER TABLE t ALTER n SET STATISTICS 500;", "ALTER TABLE t ALTER n SET STATISTICS -1;"),
    "statistics_kept": ("ALTER STATISTICS pair SET STATISTICS 500;", "ALTER STATISTICS pair SET STATISTICS -1;"),
    "schema": ("CREATE SCHEMA a;", "DROP SCHEMA a;"),
    "operator": (
        "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);",
        "DROP OPERATOR === (int, int);",
    ),
    "collation": ("CREATE COLLATION a (provider = libc, locale = 'C');", "DROP COLLATION a;"),
    "text_search": ("CREATE TEXT SEARCH CONFIGURATION a (COPY = simple);", "DROP TEXT SEARCH CONFIGURATION a;"),
    "text_search_mapping": (
        "ALTER TEXT SEARCH CONFIGURATION plain ALTER MAPPING FOR word WITH english_stem;",
        "ALTER TEXT SEARCH CONFIGURATION plain ALTER MAPPING FOR word WITH simple;",
    ),
    "dictionary": ("CREATE TEXT SEARCH DICTIONARY a (TEMPLATE = simple);", "DROP TEXT SEARCH DICTIONARY a;"),
    "conversion": ("CREATE CONVERSION a FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;", "DROP CONVERSION a;"),
    "cast": ("CREATE CAST (mood AS numbered) WITH INOUT;", "DROP CAST (mood AS numbered);"),
    "publication": ("CREATE PUBLICATION a;", "DROP PUBLICATION a;"),
    "publication_options": (
        "ALTER PUBLICATION ours SET (publish = 'insert');",
        "ALTER PUBLICATION ours SET (publish = 'insert, update, delete, truncate');",
    ),
    "published_table": ("ALTER PUBLICATION ours ADD TABLE t;", "ALTER PUBLICATION ours DROP TABLE t;"),
    "comment": ("COMMENT ON COLUMN t.n IS 'a number';", "COMMENT ON COLUMN t.n IS NULL;"),
    "comment_on_schema": (
        "COMMENT ON SCHEMA public IS 'ours';",
        "COMMENT ON SCHEMA public IS 'standard public schema';",
    ),
    "grant": ("GRANT SELECT ON t TO PUBLIC;", "REVOKE SELECT ON t FROM PUBLIC;"),
    "column_grant": ("GRANT SELECT (n) ON t TO PUBLIC;", "REVOKE SELECT (n) ON t FROM PUBLIC;"),
    "schema_grant": ("GRANT CREATE ON SCHEMA public TO PUBLIC;", "REVOKE CREATE ON SCHEMA public FROM PUBLIC;"),
    "setting": (
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 8192', current_database()); END $$;",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET work_mem', current_database()); END $$;",
    ),
    "default_grant": (
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;",
        "ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM PUBLIC;",
    ),
}
_GROUND = """
CREATE TABLE t (id int CONSTRAINT t_pkey PRIMARY KEY, n int, s text, r int4range);
CREATE INDEX t_s ON t (s);
CREATE TABLE child (id int NOT NULL, n int, s text, r int4range);
CREATE VIEW v AS SELECT id FROM t;
CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t_touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
CREATE SEQUENCE numbers;
CREATE TYPE mood AS ENUM ('good');
CREATE TYPE numbered AS ENUM ('one');
CREATE PUBLICATION ours;
CREATE POLICY guard ON t FOR UPDATE WITH CHECK (id > 0);
CREATE RULE no_delete AS ON DELETE TO child DO INSTEAD NOTHING;
CREATE DOMAIN word AS text;
CREATE STATISTICS pair ON n, s FROM t;
CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple);
"""
# (what stands there, what takes it away, what brings it back in another order or with another number)
_SAME = {
    "column grants": (
        "CREATE TABLE t (n int); GRANT SELECT (n) ON t TO pg_monitor; GRANT SELECT (n) ON t TO pg_read_all_data;",
        "REVOKE SELECT (n) ON t FROM pg_monitor;",
        "GRANT SELECT (n) ON t TO pg_monitor;",
    ),
    "default grants": (
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor, pg_read_all_data;",
        "ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM pg_monitor;",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor;",
    ),
    "default grants in a schema": (
        "CREATE SCHEMA a; ALTER DEFAULT PRIVILEGES IN SCHEMA a GRANT SELECT ON TABLES TO PUBLIC;",
        "DROP SCHEMA a;",
        "CREATE SCHEMA a; ALTER DEFAULT PRIVILEGES IN SCHEMA a GRANT SELECT ON TABLES TO PUBLIC;",
    ),
    "a column with a collation": (
        "CREATE COLLATION a (provider = libc, locale = 'C'); CREATE TABLE t (s text COLLATE a);",
        "DROP TABLE t; DROP COLLATION a;",
        "CREATE COLLATION a (provider = libc, locale = 'C'); CREATE TABLE t (s text COLLATE a);",
    ),
}


def folder(root: Path, changes: list[tuple[str, str, str]]) -> tuple[MigrationFile, ...]:
    for number, (name, forward, backward) in enumerate(changes, start=1):
        (root / f"{number:04d}_{name}.sql").write_text(f"-- A change\n\n{forward}\n")
        (root / f"{number:04d}_{name}.rollback.sql").write_text(f"-- Undo: a change\n\n{backward}\n")
    return read_folder(root).files


def names(root: Path, changes: list[tuple[str, str, str]], database: DatabaseURL) -> list[str]:
    """The names of the changes whose rollbacks do not lead back."""
    found = unproven_rollbacks(database, folder(root, changes))
    assert [finding for finding in found if "does not lead back" not in finding.message] == []
    return [finding.path.rpartition("/")[2][5 : -len(".rollback.sql")] for finding in found]


def test_a_rollback_that_takes_back_is_proven(tmp_path: Path, database: DatabaseURL) -> None:
    # each change is taken back for good by a migration behind it, so that all can stand on the same ground
    changes = [("ground", _GROUND, "SELECT 1;")]
    for name, (forward, backward) in _CHANGES.items():
        changes += [(name, forward, backward), (f"no_{name}", backward, forward)]
    assert names(tmp_path, changes, database) == ["ground"]


def test_a_rollback_that_forgets_is_found_whatever_it_forgets(tmp_path: Path, database: DatabaseURL) -> None:
    changes = [("ground", _GROUND, "SELECT 1;")]
    for name, (forward, backward) in _CHANGES.items():
        changes += [(name, forward, "SELECT 1;"), (f"no_{name}", backward, "SELECT 1;")]
    expected = ["ground", *(f"{prefix}{name}" for name in _CHANGES for prefix in ("", "no_"))]
    assert names(tmp_path, changes, database) == expected


@pytest.mark.parametrize("kind", _SAME)
def test_the_same_in_another_order_or_with_another_number_is_the_same(
    tmp_path: Path, database: DatabaseURL, kind: str
) -> None:
    ground, forward, backward = _SAME[kind]
    assert names(tmp_path, [("ground", ground, "SELECT 1;"), ("change", forward, backward)], database) == ["ground"]


def test_a_wrong_rollback_that_was_really_run_is_not_blamed_on_the_next(tmp_path: Path, database: DatabaseURL) -> None:
    outside = "-- transactional: false\n"
    changes = [
        ("table", "CREATE TABLE t (id int, n int); CREATE INDEX o ON t (id);", "DROP TABLE t;"),
        ("index", f"{outside}CREATE INDEX CONCURRENTLY i ON t (n);", f"{outside}DROP INDEX CONCURRENTLY o;"),
        ("column", "ALTER TABLE t ADD COLUMN c int;", "ALTER TABLE t DROP COLUMN c;"),
    ]
    found = unproven_rollbacks(database, folder(tmp_path, changes))
    assert [finding.path.rpartition("/")[2] for finding in found] == ["0002_index.rollback.sql"]


def test_a_setting_that_a_file_leaves_ends_with_it_as_in_a_deploy(tmp_path: Path, database: DatabaseURL) -> None:
    changes = [
        ("schema", "CREATE SCHEMA app; SET search_path = app, public;", "DROP SCHEMA app;"),
        ("table", "CREATE TABLE late (id int);", "DROP TABLE public.late; SET search_path = app;"),
    ]
    assert names(tmp_path, changes, database) == []
    with psycopg.connect(database.reveal()) as connection:
        assert connection.execute("SELECT to_regclass('public.late') IS NOT NULL").fetchone() == (True,)


def test_times_are_read_as_in_a_deploy(tmp_path: Path, database: DatabaseURL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGTZ", "America/New_York")
    with psycopg.connect(database.reveal(), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {database.database} SET timezone = 'Europe/Zurich'")
    changes = [("table", "CREATE TABLE t (at timestamptz DEFAULT '2024-01-01');", "DROP TABLE t;")]
    assert names(tmp_path, changes, database) == []
    with psycopg.connect(database.reveal()) as connection:
        connection.execute("SET timezone = 'UTC'")
        found = connection.execute("SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef").fetchall()
    assert found == [("'2024-01-01 00:00:00+00'::timestamp with time zone",)]


@pytest.mark.parametrize("builds", ["runner", "prover"])
def test_a_role_that_another_shadow_changes_at_this_moment_is_waited_for(
    tmp_path: Path, database: DatabaseURL, server: PostgresServer, builds: str
) -> None:
    role = f"shared_{builds}"
    set_it = f"ALTER ROLE {role} SET statement_timeout = '1s';"
    files = folder(tmp_path, [("role", set_it, f"ALTER ROLE {role} RESET statement_timeout;")])
    with (
        psycopg.connect(server.superuser.reveal()) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        other.execute(f"CREATE ROLE {role}")
        other.execute(f"GRANT {role} TO {server.owner.user} WITH ADMIN OPTION")
        other.execute(f"ALTER ROLE {role} SET statement_timeout = '2s'")
        other.commit()
        try:
            other.execute(f"ALTER ROLE {role} SET statement_timeout = '3s'")
            run = pool.submit(
                lambda: (
                    replay(database, read_folder(tmp_path))
                    if builds == "runner"
                    else unproven_rollbacks(database, files)
                )
            )
            watching = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
            with psycopg.connect(server.superuser.reveal(), autocommit=True) as watcher:
                until(lambda: watcher.execute(watching, (database.database,)).fetchone() != (0,))
            other.commit()
            assert not run.result(timeout=60)
        finally:
            other.execute(f"DROP ROLE {role}")
            other.commit()


def test_a_partition_that_is_detached_without_a_lock_keeps_a_check_which_its_rollback_takes_away(
    tmp_path: Path, database: DatabaseURL
) -> None:
    ground = "CREATE TABLE p (a int NOT NULL) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);"
    detach = "-- transactional: false\nALTER TABLE p DETACH PARTITION p1 CONCURRENTLY;"
    attach = "ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1);"
    files = [
        ("ground", ground, "DROP TABLE p;"),
        ("detach", detach, f"{attach} ALTER TABLE p1 DROP CONSTRAINT p1_a_check;"),
    ]
    assert names(tmp_path, files, database) == []
