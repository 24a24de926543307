"""What takes the runtime roles' limits away is found, named and put right, and costs an up-to-date deploy no write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from dbclient.url import DatabaseURL
from pipeline.console.text import show_report
from pipeline.deploy import apply, inspect_server
from pipeline.deploy.locking import Deadlines
from pipeline.deploy.observer import Observer
from pipeline.deploy.status import read_status
from pipeline.deploy.target import Target
from pipeline.errors import DatabaseFailed, TimedOut
from pipeline.migrations import read_folder
from pipeline.postgres.lock import KEY
from pipeline.roles import parse_facts, read_facts_sql
from pipeline.roles.deviations import deviations
from services import OWNER, RUNTIME_ROLES
from tests.emulator.urls import uri
from tests.support.counting_proxy import CountingProxy
from tests.support.databases import MIGRATIONS
from tests.support.sample import Database
from tests.support.unwritten import writes_nothing
from verbs.status import show_status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.deploy import Report
    from tests.support.folders import FolderBuilder
    from tests.support.server import PostgresServer
    from tests.support.services import Services


# Each is a change by hand, and what is said of it. HERE stands for the database.
BY_HAND = {
    "GRANT server TO ai_service": "ai_service: member of server (expected: none; found: granted by postgres)",
    # (the owner made the role, and so is its member: the server refuses the way back)
    "CREATE ROLE neon_superuser CREATEDB; GRANT neon_superuser TO ai_service": (
        "ai_service: member of neon_superuser (expected: none; found: granted by postgres)"
    ),
    "GRANT pg_read_all_data TO server": "server: member of pg_read_all_data (expected: none; found: granted by postgres)",
    **{
        f"ALTER ROLE server {attribute}": f"server: {attribute} (expected: none; found: yes)"
        for attribute in ("SUPERUSER", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS")
    },
    "ALTER ROLE server NOLOGIN": "server: LOGIN (expected: yes; found: no)",
    "ALTER ROLE server CONNECTION LIMIT 3": "server: CONNECTION LIMIT (expected: 40; found: 3)",
    "ALTER ROLE server CONNECTION LIMIT -1": "server: CONNECTION LIMIT (expected: 40; found: none)",
    "ALTER ROLE server VALID UNTIL '2030-01-01Z'": "server: VALID UNTIL (expected: none; found: 2030-01-01 00:00:00+00)",
    "ALTER ROLE server SET TimeZone = 'Asia/Tokyo'": "server: setting TimeZone (expected: UTC; found: Asia/Tokyo)",
    "ALTER ROLE server RESET TimeZone": "server: setting timezone (expected: UTC; found: none)",
    "ALTER ROLE server SET search_path = mine, public": (
        "server: setting search_path (expected: public; found: mine, public)"
    ),
    "ALTER ROLE server SET statement_timeout = 0": "server: setting statement_timeout (expected: 30s; found: 0)",
    "ALTER ROLE server SET work_mem = '1GB'": "server: setting work_mem (expected: none; found: 1GB)",
    "ALTER ROLE server IN DATABASE HERE SET search_path = mine": (
        "server: setting search_path in this database (expected: none; found: mine)"
    ),
    "GRANT USAGE ON SCHEMA migration_history TO server": (
        "server: rights on SCHEMA migration_history (expected: none; found: USAGE)"
    ),
    "GRANT SELECT, INSERT ON migration_history._yoyo_log TO server": (
        "server: rights on TABLE migration_history._yoyo_log (expected: none; found: INSERT, SELECT)"
    ),
    "GRANT SELECT (fingerprint) ON migration_history.role_password TO PUBLIC": (
        "server: rights on TABLE migration_history.role_password (expected: none; found: SELECT, as PUBLIC has)"
    ),
    'ALTER TABLE "Thread" OWNER TO server': 'server: owner of table public."Thread" (expected: none; found: yes)',
    "ALTER DATABASE HERE OWNER TO server": "server: owner of database HERE (expected: none; found: yes)",
    # what a migration may have meant is told, and left to `diff`
    "ALTER DATABASE HERE SET timezone = 'Asia/Tokyo'": (
        "the database: setting TimeZone (expected: none; found: Asia/Tokyo)"
    ),
    "ALTER DATABASE HERE SET search_path = mine": "the database: setting search_path (expected: none; found: mine)",
    'GRANT TRUNCATE ON "Thread" TO server': 'server: rights on TABLE public."Thread" (expected: none; found: TRUNCATE)',
    "GRANT CREATE ON SCHEMA public TO server": "server: rights on SCHEMA public (expected: none; found: CREATE)",
    "GRANT TEMPORARY ON DATABASE HERE TO PUBLIC": (
        "server: rights on DATABASE (expected: none; found: TEMPORARY, as PUBLIC has)"
    ),
    f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT SELECT ON TABLES TO server": (
        "server: rights on TABLES that are made later (expected: none; found: SELECT)"
    ),
}


def test_each_change_by_hand_is_found_and_named(migrated: DatabaseURL, server: PostgresServer) -> None:
    """In a transaction that is undone: roles belong to the whole server."""
    here = migrated.database or ""
    found, expected = {}, {}
    with psycopg.connect(server.as_superuser(migrated).reveal(), options="-c TimeZone=UTC") as superuser:
        for role in RUNTIME_ROLES:
            superuser.execute(
                f"ALTER ROLE {role} LOGIN CONNECTION LIMIT 40; ALTER ROLE {role} SET search_path = public; "
                f"ALTER ROLE {role} SET statement_timeout = '30s'; "
                f"ALTER ROLE {role} SET idle_in_transaction_session_timeout = '30s'".encode()
            )
        assert told(superuser) == set()
        for change, sentence in BY_HAND.items():
            with superuser.transaction(force_rollback=True):
                superuser.execute(change.replace("HERE", here).encode())
                found[change] = told(superuser)
            expected[change] = sentence.replace("HERE", here)
        superuser.rollback()
    assert {change for change, sentence in expected.items() if sentence not in found[change]} == set(), found


def told(connection: psycopg.Connection[tuple[object, ...]]) -> set[str]:
    rows = connection.execute(read_facts_sql(RUNTIME_ROLES).encode()).fetchall()
    facts = parse_facts([[None if value is None else str(value) for value in row] for row in rows])
    return {str(each) for each in deviations(facts, activated=RUNTIME_ROLES)}


class Activated:
    """A database that says that it is a branch, and a runtime role of its own there."""

    def __init__(self, db: Database, superuser: Database, folder: FolderBuilder) -> None:
        self.db, self.superuser, self.folder = db, superuser, folder
        self.role = f"runtime_{db.url.database}"
        self.target = Target("dev", "sea", "br-dev", passwords={self.role: "of the stack"})
        for name, value in (("project_id", "sea"), ("branch_id", "br-dev")):
            superuser.run(f"ALTER DATABASE {db.url.database} SET neon.{name} = '{value}'")
        folder.write("0001_role", f"CREATE ROLE {self.role} NOLOGIN; GRANT USAGE ON SCHEMA public TO {self.role};")

    def deploy(self, **options: object) -> Report:
        return apply(self.db.url, self.folder.read(), target=self.target, **options)  # type: ignore[arg-type]

    def as_role(self) -> Database:
        return Database(self.db.url.copy_with(user=self.role, password=self.target.passwords[self.role]))


@pytest.fixture
def activated(db: Database, superuser: Database, folder: FolderBuilder) -> Iterator[Activated]:
    made = Activated(db, superuser, folder)
    made.deploy()
    yield made
    superuser.run(f"REASSIGN OWNED BY {made.role} TO {OWNER}; DROP OWNED BY {made.role}; DROP ROLE {made.role}")


def test_a_look_without_the_stack_says_that_nobody_saw_the_passwords_on_a_branch_made_anew_too(
    activated: Activated,
) -> None:
    def said(target: Target) -> str:
        return read_status(
            activated.db.url, activated.folder.read(), target=target, observer=Observer()
        ).passwords_unseen

    assert said(activated.target) == ""
    assert f"no stack was asked for the passwords of {activated.role}" in said(Target("dev"))
    activated.superuser.run(f"ALTER DATABASE {activated.db.url.database} SET neon.branch_id = 'br-made-anew'")
    assert "`env -u DATABASE_URL ./inv deploy --env dev`" in said(Target("dev"))


def test_what_a_service_and_a_hand_changed_is_put_right_and_told(
    activated: Activated, capsys: pytest.CaptureFixture[str]
) -> None:
    role, here = activated.role, activated.db.url.database
    activated.as_role().run(f"ALTER ROLE {role} SET statement_timeout = 0; ALTER ROLE {role} SET work_mem = '1GB'")
    activated.as_role().run(f"ALTER ROLE {role} PASSWORD 'of its own'")
    activated.db.run(
        f"CREATE ROLE {role}_group; GRANT {role}_group TO {role}; ALTER ROLE {role} CREATEDB; "
        f"ALTER ROLE {role} CONNECTION LIMIT -1 VALID UNTIL '2030-01-01'; "
        f"ALTER ROLE {role} IN DATABASE {here} SET search_path = mine; "
        f"GRANT USAGE ON SCHEMA migration_history TO {role}; GRANT DELETE ON migration_history._yoyo_log TO PUBLIC"
    )
    seen = read_status(
        activated.db.url, activated.folder.read(), target=activated.target, observer=Observer(), log_in=True
    )
    show_status(seen)
    # the role of this test is none of the services', so `status` asks about those; the password is the target's
    assert f"  role      {role}: password (expected: the stack's; found: another)\n" in capsys.readouterr().out

    report = activated.deploy()
    show_report(report)
    said = capsys.readouterr().out
    assert report.activated == (role,)
    assert {each.what for each in report.corrected} == {
        f"member of {role}_group",
        "CREATEDB",
        "CONNECTION LIMIT",
        "VALID UNTIL",
        "setting statement_timeout",
        "setting work_mem",
        "setting search_path in this database",
        "rights on SCHEMA migration_history",
        "rights on TABLE migration_history._yoyo_log",
    }
    assert f"put right: {role}: setting statement_timeout (expected: 30s; found: 0)\n" in said
    assert activated.as_role().value("SELECT current_setting('statement_timeout')") == "30s"
    assert activated.as_role().value("SELECT current_setting('search_path')") == "public"

    again = writes_nothing(activated.db, activated.deploy)
    assert (again.activated, again.corrected) == ((), ())
    activated.superuser.run(f"DROP ROLE {role}_group")


def test_a_setting_of_the_database_does_not_reach_a_role_that_a_deploy_has_activated(activated: Activated) -> None:
    heard: list[str] = []

    class Heard(Observer):
        def note(self, text: str) -> None:
            heard.append(text)

    here = activated.db.url.database
    activated.db.run(f"ALTER DATABASE {here} SET timezone = 'Asia/Tokyo'; ALTER DATABASE {here} SET search_path = mine")
    activated.deploy(observer=Heard())
    assert any("the database: setting TimeZone (expected: none; found: Asia/Tokyo)" in each for each in heard)
    settings = "SELECT current_setting('TimeZone'), current_setting('search_path')"
    assert activated.as_role().rows(settings) == [("UTC", "public")]


def test_what_the_owner_may_not_take_back_fails_the_deploy_with_the_statement_and_the_rest_is_put_right(
    activated: Activated,
) -> None:
    role = activated.role
    activated.superuser.run(f"GRANT pg_read_all_data TO {role}; ALTER ROLE {role} CONNECTION LIMIT 1")
    activated.db.run("CREATE TABLE theirs ()")
    activated.superuser.run(f"ALTER TABLE theirs OWNER TO {role}")
    with pytest.raises(DatabaseFailed) as caught:
        activated.deploy()
    assert caught.value.exit_code == 5
    assert f"{role}: member of pg_read_all_data" in caught.value.message
    assert f"{role}: owner of table public.theirs" in caught.value.message
    assert f'REVOKE "pg_read_all_data" FROM "{role}" GRANTED BY "postgres"' in caught.value.remedy
    assert activated.db.value(f"SELECT rolconnlimit FROM pg_roles WHERE rolname = '{role}'") == 40


def test_a_login_that_fails_for_another_reason_changes_no_password(activated: Activated) -> None:
    """All of its connections are taken: the server says so behind the password, which was right."""
    activated.superuser.run(f"ALTER ROLE {activated.role} CONNECTION LIMIT 40")
    connections = [activated.as_role().connect() for _ in range(40)]
    try:
        assert writes_nothing(activated.db, activated.deploy).activated == ()
    finally:
        for connection in connections:
            connection.close()


def test_an_up_to_date_deploy_with_a_stack_costs_a_login_for_each_role_beside_its_one_query(
    activated: Activated,
) -> None:
    with CountingProxy(activated.db.url.host, activated.db.url.port or 5432) as proxy:
        url = activated.db.url.copy_with(host="127.0.0.1", port=proxy.port)
        apply(url, activated.folder.read(), target=activated.target)
    assert (proxy.connections, proxy.waits) == (2, 6 + 5)


def test_the_roles_of_another_database_of_the_server_are_none_of_this_ones(
    migrated_sample: Database, services: Services
) -> None:
    del services  # the roles are there
    assert inspect_server(migrated_sample.url).facts == ()


def test_a_service_that_has_the_lock_is_called_by_its_role(
    migrated: DatabaseURL, services: Services, folder: FolderBuilder
) -> None:
    db, service = Database(migrated), Database(services.url("ai_service", migrated))
    with service.connect() as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [KEY])
        with pytest.raises(TimedOut) as caught:
            apply(db.url, folder.read(), deadlines=Deadlines(lock=0.3))
        assert "the role ai_service, which never deploys, has the deploy's lock" in caught.value.message
        assert "another deploy" not in caught.value.message
        remedy = caught.value.remedy
        db.run(remedy[remedy.index("GRANT") :])
        with pytest.raises(psycopg.OperationalError):
            holder.execute("SELECT 1")
    assert db.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0


def test_on_a_neon_branch_the_same_as_an_owner_who_is_no_superuser(project: dict[str, Any]) -> None:
    owner = DatabaseURL.parse(uri(project))
    passwords = {role: f"the password of {role}, 2026" for role in RUNTIME_ROLES}
    ids = project["branch"]
    target = Target("dev", ids["project_id"], ids["id"], passwords=passwords)
    folder = read_folder(MIGRATIONS)
    assert apply(owner, folder, target=target).activated == ("ai_service", "server")
    again = apply(owner, folder, target=target)
    assert (again.activated, again.corrected) == ((), ())

    service = Database(owner.copy_with(user="ai_service", password=passwords["ai_service"]))
    service.run("ALTER ROLE ai_service SET TimeZone = 'Asia/Tokyo'; ALTER ROLE ai_service PASSWORD 'of its own, 2026'")
    Database(owner).run("GRANT server TO ai_service; ALTER ROLE server CONNECTION LIMIT 3")
    report = apply(owner, folder, target=target)
    assert report.activated == ("ai_service",)
    assert {f"{each.role}: {each.what}" for each in report.corrected} == {
        "ai_service: member of server",
        "ai_service: setting TimeZone",
        "server: CONNECTION LIMIT",
    }
    assert service.value("SELECT current_setting('TimeZone')") == "UTC"
