"""What `server` and `ai_service` may do, and that the database itself stops them from everything else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pipeline.deploy import apply
from pipeline.migrations import read_folder
from services import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer

ROOT = Path(__file__).parents[3]
ROLES = ("server", "ai_service")
Denied = psycopg.errors.InsufficientPrivilege

TABLES = ("Thread", "Message", "ScopeConsent", "User", "Account", "Session", "VerificationToken")
ALL = {"SELECT", "INSERT", "UPDATE", "DELETE"}
GRANTED = {
    "server": {**dict.fromkeys(TABLES, ALL), "ScopeConsent": {"SELECT", "INSERT"}},
    "ai_service": {"Thread": ALL, "Message": ALL, "ScopeConsent": {"SELECT", "INSERT"}},
}


@pytest.fixture(scope="module")
def deployed(server: PostgresServer) -> Iterator[DatabaseURL]:
    """A database that the runner migrated, hence with a history, and a row for each role to try its hands on."""
    url = server.create_database()
    apply(url, read_folder(ROOT / "migrations"))
    with psycopg.connect(url.reveal()) as owner:
        owner.execute("""INSERT INTO "User" ("id") VALUES ('ada')""")
        owner.execute("""INSERT INTO "Thread" ("id", "userId") VALUES (md5('t')::uuid, 'ada')""")
        owner.execute("""INSERT INTO "ScopeConsent" ("threadId", "scopeKey", "granted")
                         VALUES (md5('t')::uuid, 'mail', true)""")
    yield url
    server.drop_database(url)


@pytest.fixture(params=ROLES)
def role(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def service(
    server: PostgresServer, deployed: DatabaseURL, request: pytest.FixtureRequest
) -> Iterator[psycopg.Connection[Any]]:
    """A session that is the role: SET SESSION AUTHORIZATION, unlike SET ROLE, leaves no way back to the owner's rights.

    Nothing that a test does in it is kept.
    """
    role = request.getfixturevalue("role") if "role" in request.fixturenames else "server"
    with psycopg.connect(server.as_superuser(deployed).reveal(), autocommit=True) as connection:
        connection.execute(f"SET SESSION AUTHORIZATION {role}")
        with connection.transaction(force_rollback=True):
            yield connection


@pytest.mark.parametrize("table", TABLES)
def test_a_role_has_the_rights_that_are_written_down_and_no_other(
    service: psycopg.Connection[Any], role: str, table: str
) -> None:
    asked = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
    held = {
        right
        for right in asked
        if service.execute("SELECT has_table_privilege(%s, %s)", [f'"{table}"', right]).fetchone() == (True,)
    }

    assert held == GRANTED[role].get(table, set())


def test_a_role_reads_and_writes_a_conversation(service: psycopg.Connection[Any], role: str) -> None:
    assert role in ROLES
    row = service.execute('INSERT INTO "Thread" DEFAULT VALUES RETURNING "id"').fetchone()
    assert row is not None
    service.execute("""INSERT INTO "Message" ("threadId", "role", "content") VALUES (%s, 'human', 'hi')""", row)
    service.execute("""UPDATE "Message" SET "content" = 'hello' WHERE "threadId" = %s""", row)
    service.execute("""UPDATE "Thread" SET "model" = 'm' WHERE "id" = %s""", row)
    service.execute("""INSERT INTO "ScopeConsent" ("threadId", "scopeKey", "granted") VALUES (%s, 'mail', true)""", row)
    assert service.execute('SELECT "content" FROM "Message" WHERE "threadId" = %s', row).fetchone() == ("hello",)
    assert service.execute('SELECT "granted" FROM "ScopeConsent" WHERE "threadId" = %s', row).fetchone() == (True,)
    service.execute('DELETE FROM "Message" WHERE "threadId" = %s', row)


def test_a_role_may_write_a_thread_for_a_user_that_it_may_not_read(service: psycopg.Connection[Any], role: str) -> None:
    """A foreign key is checked with the rights of the table's owner."""
    assert role in ROLES
    service.execute("""INSERT INTO "Thread" ("userId") VALUES ('ada')""")


def test_deleting_a_thread_takes_its_consents_along(service: psycopg.Connection[Any], role: str) -> None:
    """A cascade runs with the rights of the table's owner, so an append-only table still goes with its thread."""
    assert role in ROLES
    service.execute("""DELETE FROM "Thread" WHERE "id" = md5('t')::uuid""")
    assert service.execute('SELECT count(*) FROM "ScopeConsent"').fetchone() == (0,)


def test_the_server_deletes_a_user_with_everything_of_theirs(service: psycopg.Connection[Any]) -> None:
    service.execute("""DELETE FROM "User" WHERE "id" = 'ada'""")
    assert service.execute('SELECT count(*) FROM "Thread"').fetchone() == (0,)


@pytest.mark.parametrize(
    "change",
    [
        'UPDATE "ScopeConsent" SET "granted" = false',
        'UPDATE "ScopeConsent" SET "createdAt" = now()',
        'DELETE FROM "ScopeConsent"',
        'TRUNCATE "ScopeConsent"',
        """INSERT INTO "ScopeConsent" ("id", "threadId", "scopeKey", "granted")
           SELECT "id", "threadId", "scopeKey", false FROM "ScopeConsent"
           ON CONFLICT ("id") DO UPDATE SET "granted" = false""",
        """MERGE INTO "ScopeConsent" AS c USING "Thread" AS t ON c."threadId" = t."id"
           WHEN MATCHED THEN DELETE""",
        'SELECT * FROM "ScopeConsent" FOR UPDATE',
    ],
)
def test_a_consent_is_never_changed_or_taken_back(service: psycopg.Connection[Any], role: str, change: str) -> None:
    assert role in ROLES
    with pytest.raises(Denied):
        service.execute(change)


@pytest.mark.parametrize("table", ["User", "Account", "Session", "VerificationToken"])
def test_the_ai_service_does_not_see_who_signs_in_or_how(
    server: PostgresServer, deployed: DatabaseURL, table: str
) -> None:
    with psycopg.connect(server.as_superuser(deployed).reveal(), autocommit=True) as connection:
        connection.execute("SET SESSION AUTHORIZATION ai_service")
        with pytest.raises(Denied):
            connection.execute(f'SELECT FROM "{table}"')


FORBIDDEN = [
    # create
    "CREATE TABLE mine (n integer)",
    'CREATE TABLE mine AS SELECT * FROM "Thread"',
    'SELECT * INTO mine FROM "Thread"',
    "CREATE UNLOGGED TABLE mine (n integer)",
    'CREATE VIEW mine AS SELECT * FROM "Thread"',
    'CREATE MATERIALIZED VIEW mine AS SELECT * FROM "Thread"',
    "CREATE SEQUENCE mine",
    "CREATE TYPE mine AS ENUM ('a')",
    "CREATE DOMAIN mine AS integer",
    "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql RETURN 1",
    "CREATE PROCEDURE mine() LANGUAGE sql AS ''",
    "CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq)",
    "CREATE SCHEMA mine",
    "CREATE PUBLICATION mine FOR ALL TABLES",
    "CREATE ROLE mine",
    'CREATE INDEX mine ON "Message" ("content")',
    'CREATE STATISTICS mine ON "role", "model" FROM "Message"',
    'CREATE POLICY mine ON "Message" USING (true)',
    """CREATE RULE mine AS ON DELETE TO "Message" DO INSTEAD NOTHING""",
    'CREATE TRIGGER mine BEFORE INSERT ON "Message" EXECUTE FUNCTION suppress_redundant_updates_trigger()',
    'CREATE TABLE mine (id uuid REFERENCES "Thread")',
    'CREATE TABLE mine () INHERITS ("Thread")',
    # temporary tables
    "CREATE TEMPORARY TABLE mine (n integer)",
    'CREATE TEMPORARY VIEW mine AS SELECT * FROM "Thread"',
    'SELECT * INTO TEMPORARY mine FROM "Thread"',
    # alter
    'ALTER TABLE "Message" ADD COLUMN "mine" text',
    'ALTER TABLE "Message" DROP COLUMN "usage"',
    'ALTER TABLE "Message" DROP CONSTRAINT "Message_role_check"',
    'ALTER TABLE "Message" DISABLE TRIGGER ALL',
    'ALTER TABLE "Message" OWNER TO CURRENT_USER',
    'ALTER TABLE "Message" RENAME TO "Mine"',
    'ALTER TABLE "Message" ENABLE ROW LEVEL SECURITY',
    'ALTER INDEX "Message_threadId_createdAt_idx" RENAME TO "mine"',
    "ALTER SCHEMA public RENAME TO mine",
    "ALTER ROLE CURRENT_USER CREATEDB",
    f"ALTER ROLE {OWNER} PASSWORD 'mine'",
    f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT ALL ON TABLES TO CURRENT_USER",
    "COMMENT ON TABLE \"Message\" IS 'mine'",
    'REINDEX TABLE "Message"',
    'CLUSTER "Message" USING "Message_pkey"',
    'LOCK TABLE "ScopeConsent" IN ACCESS EXCLUSIVE MODE',
    # drop
    'DROP TABLE "Message"',
    'DROP INDEX "Message_threadId_createdAt_idx"',
    "DROP SCHEMA public CASCADE",
    f"DROP OWNED BY {OWNER}",
    f"REASSIGN OWNED BY {OWNER} TO CURRENT_USER",
    # truncate
    'TRUNCATE "Message"',
    'TRUNCATE "Thread" CASCADE',
    # more rights
    f"SET ROLE {OWNER}",
    f"GRANT {OWNER} TO CURRENT_USER",
    "COPY \"Message\" TO '/dev/null'",
    "COPY \"Message\" FROM PROGRAM 'true'",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_database_refuses(service: psycopg.Connection[Any], role: str, statement: str) -> None:
    assert role in ROLES
    with pytest.raises(Denied):
        service.execute(statement)


def test_the_database_refuses_an_extension(service: psycopg.Connection[Any], role: str) -> None:
    assert role in ROLES
    offered = service.execute("SELECT name FROM pg_available_extensions WHERE installed_version IS NULL").fetchone()
    if offered is None:
        pytest.skip("this server offers no extension that is not installed")
    with pytest.raises(Denied):
        service.execute(f"CREATE EXTENSION {offered[0]}")


@pytest.mark.parametrize("statement", ["CREATE DATABASE mine", "ALTER SYSTEM SET work_mem = '1GB'", "VACUUM FULL"])
def test_the_database_refuses_what_runs_outside_of_transactions(
    server: PostgresServer, deployed: DatabaseURL, role: str, statement: str
) -> None:
    with psycopg.connect(server.as_superuser(deployed).reveal(), autocommit=True) as connection:
        notices: list[str] = []
        connection.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
        connection.execute(f"SET SESSION AUTHORIZATION {role}")
        try:
            connection.execute(statement)
        except Denied:
            return
    # VACUUM warns and passes over each table
    assert any('permission denied to vacuum "Message"' in notice for notice in notices)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM migration_history._yoyo_migration",
        "SELECT * FROM migration_history._yoyo_log",
        "SELECT * FROM migration_history.environment_marker",
        "SELECT * FROM migration_history.role_password",
        "DELETE FROM migration_history._yoyo_migration",
        "INSERT INTO migration_history.yoyo_lock VALUES (1, 1, now())",
        "CREATE TABLE migration_history.mine (n integer)",
        "DROP SCHEMA migration_history CASCADE",
    ],
)
def test_the_history_of_migrations_is_out_of_reach(service: psycopg.Connection[Any], role: str, query: str) -> None:
    assert role in ROLES
    with pytest.raises(Denied):
        service.execute(query)


def test_a_role_owns_nothing_and_is_nothing_special(server: PostgresServer, deployed: DatabaseURL, role: str) -> None:
    with psycopg.connect(server.as_superuser(deployed).reveal()) as connection:
        special = connection.execute(
            """SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,
                      EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid)
               FROM pg_roles AS r WHERE rolname = %s""",
            [role],
        ).fetchone()
        owned = connection.execute(
            "SELECT count(*) FROM pg_shdepend WHERE refobjid = %s::regrole AND deptype = 'o'", [role]
        ).fetchone()

    assert special == (False,) * 6
    assert owned == (0,)


def test_a_new_table_belongs_to_nobody_until_its_migration_says_whose_it_is(
    server: PostgresServer, migrated: DatabaseURL, role: str
) -> None:
    with psycopg.connect(server.as_superuser(migrated).reveal(), autocommit=True) as connection:
        connection.execute(f"SET SESSION AUTHORIZATION {OWNER}")
        connection.execute("CREATE TABLE later (n integer)")
        connection.execute(f"SET SESSION AUTHORIZATION {role}")
        with pytest.raises(Denied):
            connection.execute("SELECT FROM later")


def test_everyone_else_may_not_create_either(server: PostgresServer, deployed: DatabaseURL) -> None:
    """TEMPORARY and CREATE are taken from PUBLIC, so a role made tomorrow has neither."""
    with psycopg.connect(server.as_superuser(deployed).reveal()) as connection:
        connection.execute("CREATE ROLE tomorrow")
        held = connection.execute("""
            SELECT has_database_privilege('tomorrow', current_database(), 'TEMPORARY'),
                   has_schema_privilege('tomorrow', 'public', 'CREATE')
        """).fetchone()
        connection.rollback()

    assert held == (False, False)


def test_a_service_that_logs_in_stays_itself_and_reads_times_in_utc(
    server: PostgresServer, deployed: DatabaseURL, role: str
) -> None:
    """As after a deploy that gave the role LOGIN and a password."""
    with psycopg.connect(deployed.reveal(), autocommit=True) as owner:
        owner.execute(f"ALTER ROLE {role} LOGIN PASSWORD 'for this test'")
        owner.execute(f"ALTER ROLE {OWNER} SET TimeZone = 'America/New_York'")
    try:
        url = deployed.copy_with(user=role, password="for this test")
        with psycopg.connect(url.reveal(), autocommit=True) as connection:
            for name in (OWNER, "postgres", "server" if role == "ai_service" else "ai_service"):
                with pytest.raises(Denied):
                    connection.execute(f"SET SESSION AUTHORIZATION {name}")
                with pytest.raises(Denied):
                    connection.execute(f"SET ROLE {name}")
            assert connection.execute("SHOW TimeZone").fetchone() == ("UTC",)
    finally:
        with psycopg.connect(server.superuser.reveal(), autocommit=True) as superuser:
            superuser.execute(f"ALTER ROLE {role} NOLOGIN PASSWORD NULL")
            superuser.execute(f"ALTER ROLE {OWNER} RESET TimeZone")


def test_what_every_role_can_do_these_can_too_and_it_reaches_no_table(
    server: PostgresServer, service: psycopg.Connection[Any], role: str
) -> None:
    """As docs/schema.md has it."""
    service.execute(f"ALTER ROLE {role} SET work_mem = '8MB'")
    service.execute(f"ALTER ROLE {role} PASSWORD 'of its own'")
    service.execute("SET statement_timeout = 0")
    service.execute("SELECT lo_from_bytea(0, 'abc')")
    service.execute("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
    assert service.execute("SELECT pg_try_advisory_xact_lock(1)").fetchone() == (True,)
    service.execute("LISTEN anything; NOTIFY anything")
    elsewhere = server.create_database()
    with psycopg.connect(server.as_superuser(elsewhere).reveal()) as connection:
        connection.execute(f"SET SESSION AUTHORIZATION {role}")
        connection.execute("CREATE TEMPORARY TABLE mine ()")
    server.drop_database(elsewhere)
    for refused in (
        "ALTER ROLE {} CONNECTION LIMIT 99",
        "ALTER ROLE {} VALID UNTIL 'infinity'",
        "GRANT {} TO postgres",
    ):
        with pytest.raises(psycopg.Error), service.transaction():
            service.execute(refused.format(role))
