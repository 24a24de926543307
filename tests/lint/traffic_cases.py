"""What the rules about traffic, rights and rows find, and what they leave alone.

A case is the text of a migration, or (what an earlier deploy ran, the text of the migration).
"""

from __future__ import annotations

Case = str | tuple[str, str]

USERS = (
    'CREATE TABLE "User" (id text PRIMARY KEY, name text, age int, note varchar(100), price numeric(10, 2), '
    "at timestamptz(3))"
)
NAME = 'ALTER TABLE "User" ALTER name SET NOT NULL'
PARTS = 'CREATE TABLE "Part" (id int, at date) PARTITION BY RANGE (at)'
ATTACH = "ALTER TABLE \"Part\" ATTACH PARTITION p FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"
IN_2026 = (
    f"{PARTS}; CREATE TABLE p (id int, at date); ALTER TABLE p ADD CONSTRAINT c CHECK (at IS NOT NULL AND "
    "(at >= '2026-01-01'::date) AND at < '2027-01-01')"
)

BATCHED = ";\n-- pipeline: batched=t key=id"  # below, where a rule sees it as well: findings are on the first line

TRAFFIC: dict[str, tuple[list[Case], list[Case]]] = {
    "require-concurrent-index-creation": (
        [
            'CREATE INDEX i ON "User" (name)',
            (USERS, 'CREATE UNIQUE INDEX i ON public."User" (name)'),
            "CREATE INDEX i ON billing.t USING gin (a)",
            "DO $$ BEGIN CREATE INDEX i ON t (a); END $$",
            "DO $$ BEGIN EXECUTE format('CREATE INDEX %I ON %I (a)', 'i', t); END $$",
            ("CREATE FUNCTION build() RETURNS void LANGUAGE sql AS 'CREATE INDEX i ON t (a)'", "SELECT build()"),
            (PARTS, 'CREATE INDEX i ON "Part" (id)'),
            "CREATE TABLE IF NOT EXISTS t (a int); CREATE INDEX i ON t (a)",
            ("CREATE MATERIALIZED VIEW m AS SELECT 1 AS a", "CREATE INDEX i ON m (a)"),
        ],
        [
            'CREATE INDEX CONCURRENTLY i ON "User" (name)',
            "CREATE TABLE t (a int); CREATE INDEX i ON t (a)",
            'CREATE TABLE public."T" (a int); CREATE INDEX i ON "T" (a)',
            'CREATE TABLE "T" (a int); CREATE INDEX i ON public."T" (a)',
            "CREATE TABLE billing.t (a int); CREATE INDEX i ON billing.t (a)",
            "CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; CREATE UNIQUE INDEX i ON m (a)",
            (PARTS, 'CREATE INDEX i ON ONLY "Part" (id)'),
            "CREATE TABLE IF NOT EXISTS t (a int); CREATE TABLE u (a int); CREATE INDEX i ON u (a)",
            "CREATE FUNCTION build() RETURNS void LANGUAGE sql AS 'CREATE INDEX i ON t (a)'",
            "CREATE TABLE t (a int); ALTER TABLE t RENAME TO u; CREATE INDEX i ON u (a)",
        ],
    ),
    "require-concurrent-index-deletion": (
        ["DROP INDEX i", (f'{USERS}; CREATE INDEX i ON "User" (name)', "DROP INDEX public.i")],
        [
            "DROP INDEX CONCURRENTLY i",
            "CREATE TABLE t (a int); CREATE INDEX i ON t (a); DROP INDEX i",
            (f'{USERS}; CREATE INDEX i ON "User" (name)', 'DROP INDEX i; ALTER TABLE "User" DROP COLUMN name'),
            (f'{PARTS}; CREATE INDEX i ON "Part" (id)', "DROP INDEX i"),
        ],
    ),
    "require-concurrent-reindex": (
        ["REINDEX TABLE t", "REINDEX INDEX i", "REINDEX (VERBOSE) TABLE t"],
        ["REINDEX TABLE CONCURRENTLY t", "CREATE TABLE t (a int); REINDEX TABLE t"],
    ),
    "require-concurrent-partition-detach": (
        ["ALTER TABLE t DETACH PARTITION t1"],
        [
            "ALTER TABLE t DETACH PARTITION t1 CONCURRENTLY",
            "ALTER TABLE t DETACH PARTITION t1 FINALIZE",
            f'{PARTS}; CREATE TABLE p PARTITION OF "Part" DEFAULT; ALTER TABLE "Part" DETACH PARTITION p',
        ],
    ),
    "constraint-missing-not-valid": (
        [
            'ALTER TABLE "User" ADD CONSTRAINT c CHECK (age > 0)',
            'ALTER TABLE "User" ADD CHECK (age > 0)',
            'ALTER TABLE "User" ADD COLUMN x int CHECK (x > 0)',
            'ALTER TABLE "User" ADD x int, ADD COLUMN IF NOT EXISTS y int NOT NULL DEFAULT 1 CONSTRAINT c CHECK (y > 0)',
            (PARTS, 'ALTER TABLE "Part" ADD CHECK (id > 0)'),
            'ALTER TABLE "User" ADD CONSTRAINT c NOT NULL age',
        ],
        [
            'ALTER TABLE "User" ADD CONSTRAINT c CHECK (age > 0) NOT VALID',
            "CREATE TABLE t (a int); ALTER TABLE t ADD CHECK (a > 0)",
            'ALTER TABLE "User" ADD COLUMN x int',
            'ALTER TABLE "User" ADD CONSTRAINT c NOT NULL age NOT VALID',
        ],
    ),
    "adding-foreign-key-constraint": (
        [
            "ALTER TABLE a ADD CONSTRAINT c FOREIGN KEY (b_id) REFERENCES b (id)",
            "ALTER TABLE a ADD COLUMN b_id int DEFAULT 1 REFERENCES b (id)",
            (
                f'{PARTS}; CREATE TABLE p PARTITION OF "Part" DEFAULT',
                'ALTER TABLE "Part" ADD FOREIGN KEY (id) REFERENCES b (id)',
            ),
        ],
        [
            "ALTER TABLE a ADD CONSTRAINT c FOREIGN KEY (b_id) REFERENCES b (id) NOT VALID",
            "CREATE TABLE a (b_id int); ALTER TABLE a ADD FOREIGN KEY (b_id) REFERENCES b (id)",
            "ALTER TABLE a ADD COLUMN b_id int REFERENCES b (id)",
            (
                f"{PARTS}; CREATE TABLE p (id int, at date); ALTER TABLE p ADD FOREIGN KEY (id) REFERENCES b (id); {ATTACH}",
                'ALTER TABLE "Part" ADD FOREIGN KEY (id) REFERENCES b (id)',
            ),
        ],
    ),
    "disallowed-unique-constraint": (
        [
            'ALTER TABLE "User" ADD CONSTRAINT c UNIQUE (name)',
            'ALTER TABLE "User" ADD COLUMN x int UNIQUE',
            'ALTER TABLE "User" ADD EXCLUDE USING gist (at WITH &&)',
            (PARTS, 'ALTER TABLE "Part" ADD UNIQUE (id, at)'),
        ],
        [
            'ALTER TABLE "User" ADD CONSTRAINT c UNIQUE USING INDEX i',
            "CREATE TABLE t (a int); ALTER TABLE t ADD UNIQUE (a)",
            (PARTS, 'ALTER TABLE ONLY "Part" ADD UNIQUE (id, at)'),
        ],
    ),
    "adding-serial-primary-key-field": (
        ["ALTER TABLE t ADD PRIMARY KEY (id)", "ALTER TABLE t ADD COLUMN id bigserial PRIMARY KEY"],
        ["ALTER TABLE t ADD PRIMARY KEY USING INDEX i", "CREATE TABLE t (id int); ALTER TABLE t ADD PRIMARY KEY (id)"],
    ),
    "adding-required-field": (
        ["ALTER TABLE t ADD COLUMN x int NOT NULL", "ALTER TABLE t ADD y int, ADD x text NOT NULL CHECK (x <> '')"],
        [
            "ALTER TABLE t ADD COLUMN x int NOT NULL DEFAULT 1",
            "ALTER TABLE t ADD COLUMN x int",
            "ALTER TABLE t ADD COLUMN x int GENERATED ALWAYS AS IDENTITY",
            "CREATE TABLE t (a int); ALTER TABLE t ADD COLUMN x int NOT NULL",
        ],
    ),
    "validate-in-same-file": (
        [
            "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c",
            "ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES u NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c",
            "ALTER TABLE t ADD COLUMN x int; ALTER TABLE t VALIDATE CONSTRAINT c",
        ],
        [
            "ALTER TABLE t VALIDATE CONSTRAINT c",
            "ALTER TABLE u ADD COLUMN x int; ALTER TABLE t VALIDATE CONSTRAINT c",
            "ALTER TABLE t VALIDATE CONSTRAINT c; ALTER TABLE t ALTER a SET NOT NULL; ALTER TABLE t DROP CONSTRAINT c",
        ],
    ),
    "set-not-null": (
        [
            'ALTER TABLE "User" ALTER COLUMN "name" SET NOT NULL',
            'ALTER TABLE "A" VALIDATE CONSTRAINT c; ALTER TABLE "User" ALTER "name" SET NOT NULL',
            'ALTER TABLE "User" VALIDATE CONSTRAINT c; ALTER TABLE "User" ALTER "name" SET NOT NULL',
            (
                f'{USERS}; ALTER TABLE "User" ADD CONSTRAINT c CHECK (age IS NOT NULL)',
                NAME,
            ),
            (
                f'{USERS}; ALTER TABLE "User" ADD CONSTRAINT c CHECK (name IS NOT NULL OR age IS NOT NULL)',
                NAME,
            ),
            (
                f'{USERS}; ALTER TABLE "User" ADD CONSTRAINT c CHECK (name IS NOT NULL) NOT VALID',
                NAME,
            ),
            (
                f'{USERS}; ALTER TABLE "User" ADD CONSTRAINT c CHECK (name IS NOT NULL); ALTER TABLE "User" DROP CONSTRAINT c',
                NAME,
            ),
            "CREATE TABLE IF NOT EXISTS t (a int); ALTER TABLE t ALTER a SET NOT NULL",
        ],
        [
            (
                f'{USERS}; ALTER TABLE "User" ADD CONSTRAINT c CHECK (name IS NOT NULL) NOT VALID',
                'ALTER TABLE "User" VALIDATE CONSTRAINT c; ALTER TABLE "User" ALTER name SET NOT NULL',
            ),
            (
                "ALTER TABLE t ADD CHECK (a > 0 AND (b IS NOT NULL))",
                "ALTER TABLE t ALTER b SET NOT NULL",
            ),
            (USERS, 'ALTER TABLE "User" ALTER id SET NOT NULL'),
            'CREATE TABLE "A" (a int); ALTER TABLE "A" ALTER a SET NOT NULL',
            'ALTER TABLE "User" ALTER "name" DROP NOT NULL',
        ],
    ),
    "table-rewrite": (
        [
            'ALTER TABLE "Message" ALTER COLUMN "content" TYPE varchar(10)',
            'ALTER TABLE "Message" ADD COLUMN "x" uuid NOT NULL DEFAULT gen_random_uuid()',
            'ALTER TABLE "Message" ADD COLUMN x float DEFAULT random() * 10',
            'ALTER TABLE "Message" ADD COLUMN x text DEFAULT make_code()',
            (
                "CREATE FUNCTION make_code() RETURNS text LANGUAGE sql AS 'SELECT 1'",
                'ALTER TABLE "Message" ADD COLUMN x text DEFAULT make_code()',
            ),
            'ALTER TABLE "Message" ADD COLUMN x timestamptz DEFAULT pg_catalog.clock_timestamp()',
            'ALTER TABLE "Message" ADD "n" bigserial',
            'ALTER TABLE "Message" ADD COLUMN "n" int GENERATED ALWAYS AS (1 + 1) STORED',
            'ALTER TABLE "Message" ADD COLUMN "n" bigint GENERATED ALWAYS AS IDENTITY',
            ("CREATE DOMAIN positive AS int CHECK (VALUE > 0)", 'ALTER TABLE "Message" ADD COLUMN x positive'),
            'ALTER TABLE "Message" SET UNLOGGED',
            'VACUUM FULL "Message"',
            "CLUSTER t USING i",
            'ALTER TABLE "Message" ADD "a" int, ALTER "content" TYPE int USING 1',
            (USERS, 'ALTER TABLE "User" ALTER age TYPE bigint'),
            (USERS, 'ALTER TABLE "User" ALTER note TYPE varchar(50)'),
            (USERS, 'ALTER TABLE "User" ALTER price TYPE numeric(14, 4)'),
            (USERS, 'ALTER TABLE "User" ALTER at TYPE timestamptz(0)'),
            (USERS, "ALTER TABLE \"User\" ALTER note TYPE text USING note || '!'"),
        ],
        [
            'ALTER TABLE "Message" ADD COLUMN "x" int DEFAULT 1',
            'ALTER TABLE "Message" ADD COLUMN "x" int DEFAULT -1',
            'ALTER TABLE "Message" ADD COLUMN "x" timestamptz DEFAULT now()',
            'ALTER TABLE "Message" ADD COLUMN "x" date DEFAULT CURRENT_DATE',
            "ALTER TABLE \"Message\" ADD COLUMN x timestamptz DEFAULT (now() - interval '1 day')",
            'ALTER TABLE "Message" ADD COLUMN x text DEFAULT current_user',
            "ALTER TABLE \"Message\" ADD COLUMN x text DEFAULT lower('A')",
            'ALTER TABLE "Message" ADD COLUMN x numeric(10, 2) NOT NULL DEFAULT coalesce(1, 2)::numeric(10, 2)',
            (
                "CREATE FUNCTION make_code() RETURNS text STABLE LANGUAGE sql AS 'SELECT 1'",
                'ALTER TABLE "Message" ADD COLUMN x text DEFAULT public.make_code()',
            ),
            ("CREATE DOMAIN label AS text", 'ALTER TABLE "Message" ADD COLUMN x label'),
            'CREATE TABLE "A" (a int); ALTER TABLE "A" ALTER a TYPE bigint',
            'ALTER TABLE "Message" ADD CONSTRAINT c CHECK (random() > 0)',
            "ALTER TYPE mood ADD VALUE 'x'",
            (USERS, 'ALTER TABLE "User" ALTER note TYPE varchar(255)'),
            (USERS, 'ALTER TABLE "User" ALTER note TYPE text USING note::text'),
            (USERS, 'ALTER TABLE "User" ALTER price TYPE numeric(14, 2)'),
            (USERS, 'ALTER TABLE "User" ALTER at SET DATA TYPE timestamptz(6)'),
        ],
    ),
    "excessive-grants": (
        [
            "GRANT CREATE ON SCHEMA public TO ai_service",
            'GRANT TRUNCATE ON "Message" TO server',
            "GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC",
            'GRANT SELECT, REFERENCES (id) ON TABLE "Message" TO server',
            'GRANT ALL PRIVILEGES ON "Message" TO ai_service',
            'GRANT SELECT ON "Message" TO PUBLIC',
            'GRANT SELECT ON "Message" TO server WITH GRANT OPTION',
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO server",
            "GRANT UPDATE ON SEQUENCE s TO server",
            "GRANT TEMPORARY ON DATABASE shop TO server",
            "GRANT postgres TO server",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO server",
            "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO server', current_database()); END $$",
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'GRANT ALL ON \"Message\" TO server'",
        ],
        [
            'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE "Message" TO server, ai_service',
            'GRANT SELECT (id, name), UPDATE (name) ON "User" TO ai_service',
            "GRANT USAGE ON SCHEMA public TO server, ai_service",
            "GRANT USAGE, SELECT ON SEQUENCE s TO server",
            "GRANT EXECUTE ON FUNCTION f(int) TO server",
            "GRANT ALL ON t TO reporting",
            "DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO server', current_database()); END $$",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        ],
    ),
    "revoke-from-service": (
        [
            'REVOKE UPDATE ON "Message" FROM ai_service',
            "REVOKE ALL ON SCHEMA public FROM server, other",
            "DO $$ BEGIN EXECUTE 'REVOKE SELECT ON t FROM server'; END $$",
        ],
        [
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            "CREATE TABLE t (a int); GRANT ALL ON t TO server; REVOKE TRUNCATE ON t FROM server",
            "REVOKE SELECT ON t FROM reporting",
        ],
    ),
    "truncate": (
        [
            'TRUNCATE "Message"',
            "TRUNCATE TABLE ONLY t CASCADE",
            "DO $$ BEGIN IF true THEN TRUNCATE t; END IF; END $$",
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN TRUNCATE t; END $$",
        ],
        ["CREATE TABLE t (a int); TRUNCATE t", "SELECT 'TRUNCATE t'"],
    ),
    "endless-backfill": (
        [
            f"UPDATE t SET a = b + 1 WHERE b > 0 AND /* batch */ true{BATCHED}",
            f"UPDATE t SET a = a + 1 WHERE /* batch */ true{BATCHED}",
            f"INSERT INTO u SELECT b FROM t WHERE /* batch */ true{BATCHED}",
        ],
        [
            f"UPDATE t SET a = b WHERE a IS DISTINCT FROM b AND /* batch */ true{BATCHED}",
            f"UPDATE t SET (a, c) = (b, b) WHERE c IS NULL AND /* batch */ true{BATCHED}",
            f"UPDATE t SET a = 1 WHERE NOT EXISTS (SELECT FROM u WHERE u.id = t.id) AND /* batch */ true{BATCHED}",
            f"DELETE FROM t WHERE b > 0 AND /* batch */ true{BATCHED}",
            f"INSERT INTO u SELECT b FROM t WHERE /* batch */ true ON CONFLICT DO NOTHING{BATCHED}",
            "UPDATE t SET a = a + 1 WHERE b > 0",
        ],
    ),
    "whole-table-change": (
        [
            'DELETE FROM "Message"',
            'UPDATE "Message" SET x = 1',
            "UPDATE t SET x = 1 WHERE x IS NULL",
            "DELETE FROM ONLY t WHERE at < now() - interval '1 year'",
            "WITH gone AS (DELETE FROM t RETURNING id) INSERT INTO u SELECT id FROM gone",
            "DO $$ BEGIN UPDATE t SET x = 1; END $$",
            "DO $$ DECLARE n int; BEGIN LOOP DELETE FROM t WHERE a = 1; EXIT WHEN NOT FOUND; END LOOP; END $$",
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'DELETE FROM t'",
            (USERS, 'UPDATE "User" SET name = 1 WHERE age = 3'),
            "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN UPDATE SET x = u.x",
        ],
        [
            "UPDATE t SET x = 1 WHERE id = 5",
            "DELETE FROM t WHERE id IN ('a', 'b')",
            "UPDATE t SET x = 1 WHERE id IN (SELECT id FROM t WHERE x IS NULL LIMIT 5000)",
            (USERS, "UPDATE \"User\" SET name = 'x' WHERE \"User\".id = 'a' AND age > 3"),
            "CREATE TABLE t (a int); UPDATE t SET a = 1",
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'DELETE FROM t WHERE a = 1'",
            "SELECT * FROM t FOR UPDATE",
            "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2",
            "DO $$ DECLARE r record; BEGIN FOR r IN SELECT id FROM t LOOP UPDATE t SET x = 1 WHERE id = r.id; END LOOP; END $$",
        ],
    ),
    "ddl-with-data": (
        [
            "ALTER TABLE t ADD COLUMN x int; UPDATE t SET x = 1",
            "ALTER TABLE t ADD COLUMN x int; UPDATE t SET x = 1 WHERE y IS NULL",
            "CREATE INDEX i ON t (a); DELETE FROM t",
            "DO $$ BEGIN ALTER TABLE t ADD COLUMN x int; UPDATE t SET x = 1; END $$",
            (
                "CREATE FUNCTION fill() RETURNS void LANGUAGE sql AS 'UPDATE t SET x = 1'",
                "ALTER TABLE t ADD COLUMN x int; SELECT fill()",
            ),
        ],
        [
            "ALTER TABLE t ADD COLUMN x int",
            "ALTER TABLE t ADD COLUMN x int; UPDATE u SET x = 1",
            "ALTER TABLE t ADD COLUMN x int; UPDATE t SET x = 1 WHERE id = 1",
            "CREATE TABLE t (a int); ALTER TABLE t ADD COLUMN x int; UPDATE t SET x = 1",
        ],
    ),
    "lock-timeout": (
        [
            "SET LOCAL lock_timeout = '5s'",
            "SET lock_timeout = 0",
            "SELECT set_config('lock_timeout', '0', true)",
            "DO $$ BEGIN SET LOCAL lock_timeout = '1h'; END $$",
        ],
        ["SET LOCAL statement_timeout = '5s'", "SELECT set_config('timezone', 'UTC', true)"],
    ),
    "lock-table": (
        ["LOCK TABLE t", "LOCK t IN SHARE MODE", "DO $$ BEGIN LOCK TABLE t IN EXCLUSIVE MODE; END $$"],
        ["LOCK TABLE t IN ACCESS SHARE MODE", "CREATE TABLE t (a int); LOCK TABLE t"],
    ),
    "attach-partition": (
        [
            "ALTER TABLE t ATTACH PARTITION p FOR VALUES FROM (1) TO (10)",
            (
                f"{PARTS}; CREATE TABLE p (id int, at date, CHECK (at >= '2026-01-01'))",
                ATTACH,
            ),
            (
                f"{IN_2026} NOT VALID",
                ATTACH,
            ),
            "CREATE TABLE p (LIKE t); INSERT INTO p SELECT * FROM d; ALTER TABLE t ATTACH PARTITION p FOR VALUES IN (1)",
        ],
        [
            "CREATE TABLE p (LIKE t); ALTER TABLE t ATTACH PARTITION p FOR VALUES IN (1)",
            (
                f"{IN_2026} NOT VALID; ALTER TABLE p VALIDATE CONSTRAINT c",
                ATTACH,
            ),
            (
                "CREATE TABLE l (k text) PARTITION BY LIST (k); CREATE TABLE p (k text NOT NULL CHECK (k IN ('a', 'b')))",
                "ALTER TABLE l ATTACH PARTITION p FOR VALUES IN ('a', 'b')",
            ),
        ],
    ),
    "rls-without-policy": (
        ['ALTER TABLE "Message" ENABLE ROW LEVEL SECURITY'],
        [
            'ALTER TABLE "Message" ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON "Message" TO server USING (true)',
            ('CREATE POLICY p ON "Message" USING (true)', 'ALTER TABLE "Message" ENABLE ROW LEVEL SECURITY'),
            'ALTER TABLE "Message" DISABLE ROW LEVEL SECURITY',
        ],
    ),
    "enum-value-in-use": (
        [
            "ALTER TYPE mood ADD VALUE 'fine'; UPDATE t SET mood = 'fine' WHERE id = 1",
            "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'fine'; ALTER TABLE t ALTER mood SET DEFAULT 'fine'",
        ],
        [
            "ALTER TYPE mood ADD VALUE 'fine'",
            "CREATE TYPE mood AS ENUM ('good'); ALTER TYPE mood ADD VALUE 'fine'; ALTER TABLE t ALTER m SET DEFAULT 'fine'",
            ("ALTER TYPE mood ADD VALUE 'fine'", "UPDATE t SET mood = 'fine' WHERE id = 1"),
            "ALTER TYPE mood ADD VALUE 'fine'; UPDATE t SET mood = 'good' WHERE id = 1",
        ],
    ),
    "several-tables": (
        [
            "ALTER TABLE a ADD x int; ALTER TABLE b ADD x int; ALTER TABLE c ADD x int",
            "DROP TABLE a, b, c",
        ],
        [
            "ALTER TABLE a ADD x int; ALTER TABLE b ADD x int; ALTER TABLE a ADD y int",
            "CREATE TABLE a (x int); ALTER TABLE a ADD y int; ALTER TABLE b ADD y int; ALTER TABLE c ADD y int",
        ],
    ),
    "drop-primary-key": (
        [
            "ALTER TABLE t DROP CONSTRAINT t_pkey",
            (USERS, 'ALTER TABLE "User" DROP CONSTRAINT "User_pkey"'),
            ("CREATE TABLE t (id int CONSTRAINT the_key PRIMARY KEY)", "ALTER TABLE t DROP CONSTRAINT the_key"),
        ],
        [
            "ALTER TABLE t DROP CONSTRAINT t_check",
            "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY USING INDEX i",
            "CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t DROP CONSTRAINT t_pkey",
            ("CREATE TABLE t (id int CONSTRAINT t_pkey UNIQUE)", "ALTER TABLE t DROP CONSTRAINT t_pkey"),
        ],
    ),
    "index-if-not-exists": (
        [
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)",
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)",
        ],
        ["CREATE INDEX CONCURRENTLY i ON t (a)"],
    ),
    "drop-cascade": (
        [
            "DROP TABLE t CASCADE",
            "ALTER TABLE t DROP COLUMN a CASCADE",
            "DROP VIEW v CASCADE",
            "DROP TYPE mood CASCADE",
        ],
        [
            "DROP TABLE t",
            "CREATE TABLE t (a int); DROP TABLE t CASCADE",
            "ALTER TABLE t DROP COLUMN a, ADD FOREIGN KEY (b) REFERENCES u ON DELETE CASCADE NOT VALID",
        ],
    ),
    "ban-drop-constraint": (
        [
            "ALTER TABLE t DROP CONSTRAINT c",
            ("CREATE TABLE t (a int, CONSTRAINT c CHECK (a > 0))", "ALTER TABLE t DROP CONSTRAINT c"),
            ("CREATE TABLE t (a int, CONSTRAINT c CHECK (a IS NOT NULL))", "ALTER TABLE t DROP CONSTRAINT c"),
            (
                "CREATE TABLE t (a int, b int, CONSTRAINT c CHECK (a > 0))",
                "ALTER TABLE t ADD CONSTRAINT d CHECK (b > 0) NOT VALID; ALTER TABLE t DROP CONSTRAINT c",
            ),
        ],
        [
            ("CREATE TABLE t (a int NOT NULL, CONSTRAINT c CHECK (a IS NOT NULL))", "ALTER TABLE t DROP CONSTRAINT c"),
            (
                "CREATE TABLE t (a int, CONSTRAINT c CHECK (a > 0))",
                "ALTER TABLE t DROP CONSTRAINT c; ALTER TABLE t ADD CONSTRAINT c CHECK (a > 1) NOT VALID",
            ),
            ("CREATE TABLE t (a int CONSTRAINT c UNIQUE); CREATE TABLE u (a int)", "DROP TABLE u"),
            "ALTER TABLE t DROP CONSTRAINT t_pkey",
        ],
    ),
    "ban-drop-default": (
        ["ALTER TABLE t ALTER a DROP DEFAULT"],
        [
            "ALTER TABLE t ALTER a DROP DEFAULT; ALTER TABLE t ALTER a TYPE bigint; ALTER TABLE t ALTER a SET DEFAULT 1",
            "CREATE TABLE t (a int DEFAULT 1); ALTER TABLE t ALTER a DROP DEFAULT",
        ],
    ),
}
