"""Every breaking change that a migration can make is caught by the services' own statements, and no additive one is flagged."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psycopg
import pytest

from pipeline.rehearsal.compatibility import catalogues, compare, plan
from pipeline.rehearsal.result import Trouble
from tests.product.clients.calling import every_function
from tests.support.in_loop import in_loop
from tests.support.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from pipeline.rehearsal.compatibility.planning import Planned
    from pipeline.rehearsal.result import Compatibility
    from tests.support.server import PostgresServer
    from tests.support.services import Services

QUERIES = Path(__file__).parents[3] / "queries"

# What the schema has none of: an enum, a function and a view, with rights for the server.
MORE_SCHEMA = """
CREATE TYPE "Mood" AS ENUM ('calm', 'cross');
ALTER TABLE "Thread" ADD COLUMN "mood" "Mood" DEFAULT 'calm';
CREATE FUNCTION message_count(thread uuid) RETURNS bigint LANGUAGE sql STABLE
    RETURN (SELECT count(*) FROM "Message" WHERE "threadId" = thread);
CREATE VIEW "Conversation" AS SELECT "id", "createdAt", "model" FROM "Thread";
GRANT SELECT ON "Conversation" TO server;
CREATE INDEX "Message_provider_idx" ON "Message" ("provider");
"""
MORE_STATEMENTS = """
-- name: mood of a thread
UPDATE "Thread" SET "mood" = $2 WHERE "id" = $1;

-- name: threads of a mood
SELECT "id" FROM "Thread" WHERE "mood" = CAST($1::text AS "public"."Mood") AND "model" = $2;

-- name: messages in a thread
SELECT message_count($1) AS messages;

-- name: conversations
SELECT * FROM "Conversation" WHERE "id" = $1;

-- name: new provider
-- null: $2
INSERT INTO "Message" ("threadId", "role", "content", "provider") VALUES ($1, 'ai', $3, $2)
    ON CONFLICT ("id") DO UPDATE SET "provider" = $2;
"""
ROWS = """
INSERT INTO "User" ("id") SELECT n::text FROM generate_series(1, 100) AS n UNION SELECT 'ada';
INSERT INTO "Thread" ("id", "userId")
SELECT lpad(to_hex(n), 32, '0')::uuid, (1 + n % 100)::text FROM generate_series(1, 2000) AS n;
INSERT INTO "Message" ("threadId", "role", "content", "provider", "name", "createdAt")
SELECT lpad(to_hex(1 + n % 2000), 32, '0')::uuid, 'human', 'x', 'p' || n % 500, 'n',
       timestamptz '2026-01-01' + n * interval '1 second'
  FROM generate_series(1, 101000) AS n;
INSERT INTO "ScopeConsent" ("threadId", "scopeKey", "granted")
SELECT lpad(to_hex(1 + n % 2000), 32, '0')::uuid, 'k', true FROM generate_series(1, 12000) AS n;
"""

FAILS, CHANGED, LOST = Trouble.FAILS, Trouble.CHANGED, Trouble.LOST_INDEX

# What a migration does, and a trouble that it has to be told of: what, why, the SQLSTATE, and the statement or a part of it.
BREAKING: dict[str, tuple[str, tuple[Trouble, str, str, str]]] = {
    "column dropped": (
        'DROP VIEW "Conversation"; ALTER TABLE "Thread" DROP COLUMN "model"',
        (FAILS, "refused", "42703", "threads.create"),
    ),
    "column renamed": (
        'ALTER TABLE "Message" RENAME COLUMN "content" TO "body"',
        (FAILS, "refused", "42703", "insert Message 2"),
    ),
    "column retyped": (
        'ALTER TABLE "Account" ALTER COLUMN "expires_at" TYPE text',
        (CHANGED, "parameters", "", "insert Account 2"),
    ),
    "column narrowed": (
        'ALTER TABLE "Message" ALTER COLUMN "content" TYPE varchar(20000)',
        (FAILS, "narrower", "22001", "insert Message 2"),
    ),
    "NOT NULL added": (
        'ALTER TABLE "Message" ALTER COLUMN "name" SET NOT NULL',
        (FAILS, "null", "23502", "insert Message 2"),
    ),
    "enum value gone": (
        """CREATE TYPE new_mood AS ENUM ('calm'); ALTER TABLE "Thread" ALTER "mood" DROP DEFAULT,
        ALTER "mood" TYPE new_mood USING "mood"::text::new_mood, ALTER "mood" SET DEFAULT 'calm';
        DROP TYPE "Mood"; ALTER TYPE new_mood RENAME TO "Mood" """,
        (FAILS, "value gone", "22P02", "mood of a thread"),
    ),
    "table renamed": (
        'ALTER TABLE "VerificationToken" RENAME TO "Token"',
        (FAILS, "refused", "42P01", "insert VerificationToken"),
    ),
    "grant lost": (
        'REVOKE INSERT ON "Message" FROM ai_service',
        (FAILS, "refused", "42501", "messages.append_many"),
    ),
    "function signature": (
        """DROP FUNCTION message_count(uuid); CREATE FUNCTION message_count(thread uuid, since timestamptz) RETURNS bigint
        LANGUAGE sql RETURN (SELECT count(*) FROM "Message" WHERE "threadId" = thread AND "createdAt" > since)""",
        (FAILS, "refused", "42883", "messages in a thread"),
    ),
    "view changed": (
        """DROP VIEW "Conversation"; CREATE VIEW "Conversation" AS SELECT "id", "createdAt" FROM "Thread";
        GRANT SELECT ON "Conversation" TO server""",
        (CHANGED, "results", "", "conversations"),
    ),
    "default lost": (
        'ALTER TABLE "Thread" ALTER COLUMN "mood" DROP DEFAULT',
        (CHANGED, "default", "", "threads.create"),
    ),
    "unique added": (
        'CREATE UNIQUE INDEX "Session_userId_key" ON "Session" ("userId")',
        (FAILS, "unique", "23505", "insert Session"),
    ),
    "index lost": (
        'DROP INDEX "Message_threadId_createdAt_idx"',
        (LOST, "index", "", "messages.history"),
    ),
    # and others of the same kinds
    "column without a default added": (
        'ALTER TABLE "VerificationToken" ADD COLUMN "purpose" text NOT NULL',
        (FAILS, "null", "23502", "insert VerificationToken"),
    ),
    "CHECK (IS NOT NULL) added": (
        'ALTER TABLE "Message" ADD CONSTRAINT named CHECK ("toolCallId" IS NOT NULL) NOT VALID',
        (FAILS, "null", "23514", "insert Message 3"),
    ),
    "NOT NULL for what is sent as NULL": (
        'ALTER TABLE "Message" ALTER COLUMN "provider" SET NOT NULL',
        (FAILS, "null", "23502", "new provider"),
    ),
    "default of an id lost": (
        'ALTER TABLE "Thread" ALTER COLUMN "id" DROP DEFAULT',
        (FAILS, "null", "23502", "threads.create"),
    ),
    "value of a CHECK gone": (
        """ALTER TABLE "Message" DROP CONSTRAINT "Message_role_check",
        ADD CONSTRAINT "Message_role_check" CHECK ("role" IN ('human', 'ai', 'system'))""",
        (FAILS, "value gone", "23514", "insert Message 2"),
    ),
    "enum value gone for who asks for it": (
        """CREATE TYPE new_mood AS ENUM ('calm'); ALTER TABLE "Thread" ALTER "mood" DROP DEFAULT,
        ALTER "mood" TYPE new_mood USING "mood"::text::new_mood, ALTER "mood" SET DEFAULT 'calm';
        DROP TYPE "Mood"; ALTER TYPE new_mood RENAME TO "Mood" """,
        (FAILS, "value gone", "22P02", "threads of a mood"),
    ),
    "uniqueness that ON CONFLICT names gone": (
        'ALTER TABLE "Message" DROP CONSTRAINT "Message_pkey"',
        (FAILS, "refused", "42P10", "new provider"),
    ),
    "result of a function retyped": (
        """DROP FUNCTION message_count(uuid); CREATE FUNCTION message_count(thread uuid) RETURNS text
        LANGUAGE sql RETURN (SELECT count(*)::text FROM "Message" WHERE "threadId" = thread)""",
        (CHANGED, "results", "", "messages in a thread"),
    ),
    "column of a view renamed": (
        'ALTER VIEW "Conversation" RENAME COLUMN "model" TO "engine"',
        (CHANGED, "results", "", "conversations"),
    ),
    "sequence that the service may not use": (
        'ALTER TABLE "ScopeConsent" ADD COLUMN "number" bigserial',
        (FAILS, "refused", "42501", "consents.grant 1"),
    ),
    "schema closed": (
        "REVOKE USAGE ON SCHEMA public FROM server, PUBLIC",
        (FAILS, "refused", "42501", "select Message 1"),
    ),
}
THE_TWELVE = list(BREAKING)[:12]

ADDITIVE: dict[str, str] = {
    "nullable column": 'ALTER TABLE "Message" ADD COLUMN "lang" text',
    "column with a default": 'ALTER TABLE "Message" ADD COLUMN "pinned" boolean NOT NULL DEFAULT false',
    "table with grants": """CREATE TABLE "Note" ("id" uuid PRIMARY KEY, "threadId" uuid NOT NULL REFERENCES "Thread" ("id"));
        GRANT SELECT, INSERT, UPDATE, DELETE ON "Note" TO server, ai_service""",
    "index": 'CREATE INDEX ON "Message" ("model")',
    "view": 'CREATE VIEW "Loud" AS SELECT "id" FROM "Message"; GRANT SELECT ON "Loud" TO server',
    "enum value": """ALTER TYPE "Mood" ADD VALUE 'glad'""",
    "wider type": 'ALTER TABLE "Account" ALTER COLUMN "expires_at" TYPE bigint, ALTER COLUMN "type" TYPE varchar',
    "comment": """COMMENT ON COLUMN "Message"."name" IS 'of a tool'""",
    "function": "CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE RETURN 2 * n",
    "index that another one serves for": """CREATE INDEX "Message_history_idx" ON "Message" ("threadId", "createdAt", "id");
        DROP INDEX "Message_threadId_createdAt_idx" """,
    # and others
    "index that nobody uses dropped": 'DROP INDEX "Message_provider_idx"',
    "foreign key, in two steps": """ALTER TABLE "Message" ADD CONSTRAINT again FOREIGN KEY ("threadId")
        REFERENCES "Thread" ("id") NOT VALID; ALTER TABLE "Message" VALIDATE CONSTRAINT again""",
    "unique column that nobody fills yet": 'ALTER TABLE "Message" ADD COLUMN "key" text UNIQUE',
    "column that a sequence numbers": """ALTER TABLE "ScopeConsent" ADD COLUMN "number" bigserial;
        GRANT USAGE ON SEQUENCE "ScopeConsent_number_seq" TO server, ai_service""",
    "column that the server numbers": 'ALTER TABLE "Session" ADD COLUMN "number" bigint GENERATED ALWAYS AS IDENTITY UNIQUE',
    "column that the server computes": """ALTER TABLE "Message" ADD COLUMN "length" int
        GENERATED ALWAYS AS (length("content")) STORED NOT NULL""",
    "value of a CHECK": """ALTER TABLE "Message" DROP CONSTRAINT "Message_role_check",
        ADD CONSTRAINT "Message_role_check" CHECK ("role" IN ('human', 'ai', 'tool', 'system', 'critic'))""",
    "uniqueness under another name": """CREATE UNIQUE INDEX email ON "User" ("email"); DROP INDEX "User_email_key" """,
    "NOT NULL of what is always sent": 'ALTER TABLE "User" ALTER COLUMN "createdAt" SET NOT NULL',
    "another default": """ALTER TABLE "Thread" ALTER COLUMN "mood" SET DEFAULT 'cross'""",
    "index renamed": 'ALTER INDEX "Message_threadId_createdAt_idx" RENAME TO history',
}


@dataclass(frozen=True)
class Rehearsed:
    """A filled production, what the services send to it, and how the server planned it before any change."""

    server: PostgresServer
    production: DatabaseURL
    before: Planned

    @contextmanager
    def changed(self, change: str) -> Iterator[DatabaseURL]:
        """A copy after a change."""
        copy = self.server.create_database(self.production)
        try:
            with psycopg.connect(copy.reveal(), autocommit=True) as connection:
                connection.execute(change.encode())
            yield copy
        finally:
            self.server.drop_database(copy)

    def after(self, change: str) -> Compatibility:
        """What a change does to the services."""
        with self.changed(change) as copy:
            return compare(self.before, plan(copy, self.before.catalogues))


@pytest.fixture(scope="module")
def rehearsed(
    server: PostgresServer, migrated_template: DatabaseURL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rehearsed]:
    repository = Repository.create(tmp_path_factory.mktemp("live") / "checkout")
    shutil.copytree(QUERIES, repository.root / "queries")
    with (repository.root / "queries" / "server.sql").open("a") as file:
        file.write(MORE_STATEMENTS)
    repository.commit()
    production = server.create_database(migrated_template)
    with psycopg.connect(production.reveal(), autocommit=True) as connection:
        connection.execute(MORE_SCHEMA)
        connection.execute(ROWS)
        connection.execute("VACUUM ANALYZE")
    known = catalogues(repository.root, repository.git("rev-parse", "HEAD").strip())
    yield Rehearsed(server, production, plan(production, known))
    server.drop_database(production)


def test_every_statement_of_the_catalogues_is_planned_as_its_service(rehearsed: Rehearsed) -> None:
    refused = {text: answer.sqlstate for (_, text), answer in rehearsed.before.answers.items() if answer.sqlstate}
    assert refused == {}
    assert rehearsed.before.not_measured == rehearsed.before.catalogues.notes == ()
    nothing = compare(rehearsed.before, rehearsed.before)
    assert nothing.troubles == ()
    assert {(service, release) for service, release, _ in nothing.statements} == {
        (service, release) for service in ("server", "ai-service") for release in ("live", "head")
    }
    assert sum(count for *_, count in nothing.statements) == 2 * len(rehearsed.before.answers) > 100


@pytest.mark.parametrize("change", BREAKING)
def test_a_breaking_change_is_caught(rehearsed: Rehearsed, change: str) -> None:
    sql, (trouble, reason, sqlstate, statement) = BREAKING[change]
    found = rehearsed.after(sql).breaks
    told = {(each.trouble, each.reason, each.sqlstate, each.statement.removeprefix("chatdb.")) for each in found}
    assert (trouble, reason, sqlstate, statement) in told


def test_the_real_client_fails_at_what_it_is_told_to_fail_at(rehearsed: Rehearsed, services: Services) -> None:
    """Where the first function that fails is not told of, the comparison and the server are of two minds."""
    for change in ("column renamed", "NOT NULL added", "grant lost", "sequence that the service may not use"):
        sql, (_, _, sqlstate, _) = BREAKING[change]
        with rehearsed.changed(sql) as copy:
            found = compare(rehearsed.before, plan(copy, rehearsed.before.catalogues))
            called: list[str] = []
            with pytest.raises(asyncpg.PostgresError) as caught:
                in_loop(every_function(services.url("ai_service", copy), called.append))
        [failed] = [name for name in called if name][-1:]
        assert any(each.statement.startswith(failed) for each in found.breaks), change
        assert caught.value.sqlstate == sqlstate


def test_they_are_twelve_and_ten() -> None:
    assert len(THE_TWELVE) == 12
    assert len(ADDITIVE) >= 10


@pytest.mark.parametrize("change", ADDITIVE)
def test_an_additive_change_is_not_flagged_and_the_real_client_goes_on(
    rehearsed: Rehearsed, services: Services, change: str
) -> None:
    with rehearsed.changed(ADDITIVE[change]) as copy:
        assert compare(rehearsed.before, plan(copy, rehearsed.before.catalogues)).troubles == ()
        in_loop(every_function(services.url("ai_service", copy), lambda _: None))


def test_an_index_lost_on_a_table_of_some_thousand_rows_is_told_and_breaks_nothing(rehearsed: Rehearsed) -> None:
    found = rehearsed.after('DROP INDEX "ScopeConsent_threadId_scopeKey_createdAt_idx"')
    assert found.breaks == ()
    assert {(each.trouble, each.table, each.name, each.rows) for each in found.troubles} == {
        (LOST, 'public."ScopeConsent"', "ScopeConsent_threadId_scopeKey_createdAt_idx", 12_000)
    }
    assert found.troubles[0].condition == ""


def test_nothing_is_left_of_a_planning(rehearsed: Rehearsed) -> None:
    with psycopg.connect(rehearsed.production.reveal()) as connection:
        [member] = connection.execute("SELECT pg_has_role('server', 'SET')").fetchall()
    assert member == (False,)
