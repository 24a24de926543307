"""Each rule on what it finds and on what it must leave alone: (text, findings)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.lint.locks import LOCKS
from pipeline.lint.rules import RULES
from tests.lint.sources import behind, migration
from tests.lint.traffic_cases import TRAFFIC

if TYPE_CHECKING:
    from pipeline.lint.source import Source
    from tests.lint.traffic_cases import Case

CASES: dict[str, tuple[list[Case], list[Case]]] = {
    "alter-database": (
        [
            "ALTER DATABASE shop OWNER TO server",
            "ALTER DATABASE shop RENAME TO store",
            "DROP DATABASE shop",
            "CREATE DATABASE x",
        ],
        ["ALTER DATABASE shop SET timezone = 'UTC'", "GRANT CONNECT ON DATABASE shop TO server"],
    ),
    "alter-system": (
        ["ALTER SYSTEM SET work_mem = '1GB'", "/* a */ alter system reset all"],
        ["ALTER TABLE system ADD x int", "SELECT 'ALTER SYSTEM'"],
    ),
    "copy-file": (
        [
            "COPY \"User\" FROM '/tmp/x.csv'",
            "COPY (SELECT a FROM b) TO PROGRAM 'gzip'",
            "SELECT lo_import('/etc/passwd')",
            "INSERT INTO t SELECT pg_read_file('x')",
        ],
        ["INSERT INTO t SELECT a FROM b", "SELECT 'COPY t FROM ''x'''"],
    ),
    "extension-not-on-neon": (
        ["CREATE EXTENSION file_fdw", 'CREATE EXTENSION IF NOT EXISTS "pg_search"'],
        ["CREATE EXTENSION vector", 'CREATE EXTENSION IF NOT EXISTS "uuid-ossp"', "DROP EXTENSION file_fdw"],
    ),
    "history-schema": (
        [
            "DELETE FROM migration_history._yoyo_migration",
            'ALTER TABLE "_yoyo_log" ADD x int',
            "DROP SCHEMA migration_history",
            "GRANT USAGE ON SCHEMA migration_history TO server",
        ],
        ["SELECT 1 FROM migration_history._yoyo_migration", "CREATE TABLE history (id int)"],
    ),
    "libc-collation": (
        [
            "CREATE COLLATION de (locale = 'de_DE.utf8')",
            'CREATE INDEX i ON "User" ("name" COLLATE "en_US")',
            'ALTER TABLE t ALTER a TYPE text COLLATE "de_DE.utf8"',
        ],
        [
            "CREATE COLLATION de (provider = icu, locale = 'de-DE')",
            'CREATE INDEX i ON "User" ("name" COLLATE "C")',
            'CREATE INDEX i ON "User" ("name" COLLATE "en-x-icu")',
        ],
    ),
    "logical-replication": (
        [
            "CREATE PUBLICATION p FOR ALL TABLES",
            "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
            "SELECT pg_create_logical_replication_slot('s', 'pgoutput')",
        ],
        ["DROP PUBLICATION p", "CREATE TABLE publication (id int)"],
    ),
    "missing-grants": (
        ['CREATE TABLE "A" (id int)', 'CREATE TABLE "A" (id int); GRANT SELECT ON "A" TO somebody'],
        [
            'CREATE TABLE "A" (id int); GRANT SELECT ON TABLE "B", "A" TO server',
            'CREATE TABLE public."A" (id int); GRANT ALL ON "A" TO ai_service WITH GRANT OPTION',
            "CREATE TEMP TABLE a (id int) ON COMMIT DROP",
            'CREATE TABLE "A" (id int); DROP TABLE "A"',
        ],
    ),
    "role-attributes": (
        [
            "CREATE ROLE x SUPERUSER",
            "ALTER ROLE x WITH BYPASSRLS",
            "CREATE USER x REPLICATION",
            "CREATE ROLE pg_mine",
            "CREATE ROLE neon_superuser",
            "CREATE ROLE x LOGIN PASSWORD 'y'",
            "GRANT neon_superuser TO server",
            f"CREATE ROLE {'x' * 64}",
        ],
        [
            "CREATE ROLE x NOLOGIN",
            "ALTER ROLE x PASSWORD NULL",
            "GRANT SELECT ON t TO x",
            "CREATE USER MAPPING FOR x SERVER s",
            "ALTER ROLE x NOSUPERUSER",
        ],
    ),
    "session-state": (
        [
            "SET search_path = public",
            "SET SESSION lock_timeout = '1s'",
            "LISTEN x",
            "PREPARE q AS SELECT 1",
            "CREATE TEMP TABLE t (a int)",
            "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
            "SELECT pg_advisory_lock(1)",
            "RESET ALL",
        ],
        [
            "SET LOCAL lock_timeout = '1s'",
            "ALTER ROLE server SET timezone = 'UTC'",
            "CREATE TEMP TABLE t ON COMMIT DROP AS SELECT 1",
            "SELECT pg_advisory_xact_lock(1)",
            "UPDATE t SET a = 1",
            "SET CONSTRAINTS ALL DEFERRED",
        ],
    ),
    "superuser-only": (
        [
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpython3u AS $$ $$",
            "CREATE FUNCTION f() RETURNS int AS 'lib', 'f' LANGUAGE C",
            "CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION f()",
            "SET session_replication_role = replica",
            "ALTER ROLE server SET log_statement = 'all'",
            "ALTER TABLE t DISABLE TRIGGER ALL",
            "CREATE CAST (a AS b) WITHOUT FUNCTION",
            "CHECKPOINT",
        ],
        [
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$",
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$",
            "ALTER TABLE t DISABLE TRIGGER USER",
            "CREATE CAST (a AS b) WITH FUNCTION f(a)",
            "CREATE FUNCTION f() RETURNS int NOT LEAKPROOF LANGUAGE sql AS 'SELECT 1'",
        ],
    ),
    "tablespace": (
        [
            "CREATE TABLESPACE fast LOCATION '/ssd'",
            "CREATE TABLE t (a int) TABLESPACE fast",
            "ALTER TABLE t SET TABLESPACE fast",
        ],
        ["CREATE TABLE t (a int) TABLESPACE pg_default", "COMMENT ON TABLE t IS 'tablespace'"],
    ),
    "unlogged-table": (
        ["CREATE UNLOGGED TABLE t (a int)", "ALTER TABLE t SET UNLOGGED"],
        ["CREATE TABLE unlogged (a int)", "ALTER TABLE t SET LOGGED"],
    ),
}
CASES |= TRAFFIC
FOUND = [(slug, case) for slug, (bad, _) in CASES.items() for case in bad]
LEFT_ALONE = [(slug, case) for slug, (_, good) in CASES.items() for case in good]


def source_of(case: Case) -> Source:
    before, text = ("", case) if isinstance(case, str) else case
    return behind(before, f"-- A change\n\n{text};\n")


@pytest.mark.parametrize(("slug", "case"), FOUND)
def test_a_rule_finds_what_it_is_for(slug: str, case: Case) -> None:
    findings = list(RULES[slug](source_of(case)))
    assert [(finding.rule, finding.line) for finding in findings] == [(slug, 3)]
    assert findings[0].help


@pytest.mark.parametrize(("slug", "case"), LEFT_ALONE)
def test_a_rule_leaves_alone_what_is_right(slug: str, case: Case) -> None:
    assert list(RULES[slug](source_of(case))) == []


HOLDS_A_LOCK = [
    "adding-foreign-key-constraint",
    "adding-serial-primary-key-field",
    "attach-partition",
    "ban-drop-constraint",
    "constraint-missing-not-valid",
    "ddl-with-data",
    "disallowed-unique-constraint",
    "drop-cascade",
    "drop-primary-key",
    "lock-table",
    "require-concurrent-index-creation",
    "require-concurrent-index-deletion",
    "require-concurrent-partition-detach",
    "require-concurrent-reindex",
    "set-not-null",
    "several-tables",
    "table-rewrite",
    "truncate",
    "validate-in-same-file",
    "whole-table-change",
]


@pytest.mark.parametrize(("slug", "case"), [(slug, case) for slug in HOLDS_A_LOCK for case in CASES[slug][0]])
def test_a_finding_says_the_lock_and_who_waits_and_until_when(slug: str, case: Case) -> None:
    (finding,) = RULES[slug](source_of(case))
    assert [lock for lock in LOCKS if lock in finding.message]
    assert "nobody" in finding.message or "whoever" in finding.message
    assert "until" in finding.message


def test_a_migration_without_its_rollback_file_is_found() -> None:
    (finding,) = RULES["missing-rollback"](migration("SELECT 1;", rollback=False))
    assert "0005_change.rollback.sql" in finding.help


def test_a_grant_in_a_later_file_counts() -> None:
    source = migration('CREATE TABLE "A" (id int);', 'GRANT SELECT ON "A" TO server, ai_service;')
    assert list(RULES["missing-grants"](source)) == []


def test_every_rule_has_cases_and_a_page() -> None:
    pages = Path(__file__).parents[2] / "docs" / "lint"
    assert set(CASES) | {"missing-rollback"} == set(RULES)
    assert [slug for slug in RULES if not (pages / f"{slug}.md").is_file()] == []
