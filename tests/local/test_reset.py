"""`reset` drops the database that `migrate` works in, and only when there is another one to put in its place."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.deploy import apply
from pipeline.deploy.checkout import deploy, local_checkout
from pipeline.errors import DatabaseFailed, Interrupted, InvalidPlan, MigrationFailed, Refused
from pipeline.local.reset import reset
from pipeline.local.seed import seed_here
from services import OWNER
from tests.support.databases import LOCAL, PRODUCT
from tests.support.folders import FolderBuilder
from tests.support.sample import Database
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer

REPOSITORY = Path(__file__).parents[2]


def run_reset(root: Path) -> str:
    """Reset, and give the question that was asked."""
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        return True

    reset(local_checkout(root, "reset"), confirm=confirm)
    (question,) = asked
    return question


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with one migration."""
    (tmp_path / "checkout").mkdir()
    FolderBuilder(tmp_path / "checkout" / "migrations").write("0001_t", "CREATE TABLE t ();")
    return tmp_path / "checkout"


@pytest.fixture
def local(db: Database, root: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A migrated local database with a table of its own in it."""
    monkeypatch.setenv("DATABASE_URL", db.url.reveal())
    apply(db.url, FolderBuilder(root / "migrations").read(), target=LOCAL)
    db.run("CREATE TABLE kept ()")
    return db


@pytest.fixture
def superuser_at_work(server: PostgresServer) -> Database:
    return Database(server.superuser)


def tables(database: Database) -> list[object]:
    return [name for (name,) in database.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")]


def databases(superuser: Database) -> set[object]:
    return {name for (name,) in superuser.rows("SELECT datname FROM pg_database")}


class TestWhatTheUrlLeavesOut:
    def test_is_the_same_database_for_migrate_and_for_reset_which_names_it(
        self, db: Database, server: PostgresServer, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = db.url
        monkeypatch.setenv("PGDATABASE", str(url.database))
        monkeypatch.setenv("PGUSER", str(url.user))
        monkeypatch.setenv("PGPORT", str(url.port))
        bare = url.copy_with(database=None, user=None, port=None, password=None)
        monkeypatch.setenv("PGPASSWORD", str(url.password))
        monkeypatch.setenv("DATABASE_URL", bare.reveal())
        report = deploy(local_checkout(root, "migrate"))
        assert report.server == f"{url.host}:{url.port}/{url.database}"
        db.run("CREATE TABLE left_over ()")
        before = databases(Database(server.superuser))
        assert run_reset(root) == (
            f"Drop the database {url.database} on {url.host}:{url.port} (DATABASE_URL) with everything in it?"
        )
        assert tables(db) == ["t"]
        assert databases(Database(server.superuser)) == before

    def test_options_of_the_environment_do_not_lead_seed_to_other_tables(
        self, migrated: DatabaseURL, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database = Database(migrated)
        database.run("CREATE SCHEMA other")
        for table in ("User", "Thread", "Message", "ScopeConsent"):
            database.run(f'CREATE TABLE other."{table}" (LIKE public."{table}" INCLUDING DEFAULTS)')
        monkeypatch.setenv("DATABASE_URL", migrated.reveal())
        monkeypatch.setenv("PGOPTIONS", "-c search_path=other")
        seed_here(local_checkout(PRODUCT, "seed"), threads=3, messages=5, number=0)
        assert database.value('SELECT count(*) FROM public."Message"') == 5
        assert database.value('SELECT count(*) FROM other."Message"') == 0


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("0001_again", "CREATE TABLE again ();", "0001"),
        ("0002_draft", "-- pipeline: draft\nCREATE TABLE draft ();", "draft"),
        ("0002_commit", "COMMIT;", "COMMIT"),
    ],
)
def test_a_folder_that_cannot_be_migrated_is_told_of_before_anything_is_dropped(
    local: Database, root: Path, name: str, text: str, what: str
) -> None:
    FolderBuilder(root / "migrations").write(name, text)
    with pytest.raises(InvalidPlan) as refused:
        reset(local_checkout(root, "reset"), confirm=lambda _: pytest.fail("it asked"))
    assert what in str(refused.value)
    assert tables(local) == ["kept", "t"]


def test_a_file_that_fails_is_met_while_the_old_database_still_stands(local: Database, root: Path) -> None:
    FolderBuilder(root / "migrations").write("0009_fails", "SELECT 1 / 0;")
    with pytest.raises(MigrationFailed, match="division by zero") as failed:
        reset(local_checkout(root, "reset"), confirm=lambda _: True)
    assert "stands as it was" in failed.value.remedy
    assert tables(local) == ["kept", "t"]
    assert local.value("SELECT count(*) FROM pg_database WHERE datname LIKE 'pipeline_reset%'") == 0


@pytest.mark.parametrize(
    "locale", ["ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C'", "LOCALE_PROVIDER icu ICU_LOCALE 'de' ICU_RULES '&a < z'"]
)
def test_encoding_locale_and_settings_are_those_of_before(
    server: PostgresServer, root: Path, monkeypatch: pytest.MonkeyPatch, locale: str
) -> None:
    superuser = Database(server.superuser)
    try:
        superuser.run(f"CREATE DATABASE old_style OWNER {OWNER} TEMPLATE template0 CONNECTION LIMIT 7 {locale}")
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this server was built without ICU")
    url = server.owner.copy_with(database="old_style")
    for change in (
        "COMMENT ON DATABASE old_style IS 'It''s old'",
        """ALTER DATABASE old_style SET search_path = "$user", 'Odd, name', public, ''""",
        "ALTER DATABASE old_style SET TimeZone = 'Asia/Kathmandu'",
    ):
        Database(url.copy_with(database="postgres")).run(change)
    monkeypatch.setenv("DATABASE_URL", url.reveal())
    looked_at = """
        SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datlocprovider, daticulocale,
               daticurules, datconnlimit, shobj_description(d.oid, 'pg_database'), setconfig
          FROM pg_database d JOIN pg_db_role_setting s ON setdatabase = d.oid WHERE datname = 'old_style'
    """
    before = superuser.rows(looked_at)
    try:
        run_reset(root)
        assert superuser.rows(looked_at) == before
        assert tables(Database(url)) == ["t"]
    finally:
        superuser.run("DROP DATABASE old_style WITH (FORCE)")


def test_a_setting_that_the_owner_may_not_give_is_no_reason_to_lose_it(
    local: Database, server: PostgresServer, root: Path
) -> None:
    superuser = Database(server.superuser)
    before = databases(superuser)
    superuser.run(f"ALTER DATABASE {local.url.database} SET log_statement = 'all'")
    with pytest.raises(Refused, match="log_statement") as refused:
        run_reset(root)
    assert "RESET" in refused.value.remedy
    assert tables(local) == ["kept", "t"]
    assert databases(superuser) == before


@pytest.fixture
def without_createdb(local: Database, server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The local database, as an owner that may not make another one."""
    superuser = Database(server.superuser)
    name = f"plain_{local.url.database}"
    superuser.run(f"CREATE ROLE {name} LOGIN PASSWORD 'plain' IN ROLE {OWNER}")
    superuser.run(f"ALTER DATABASE {local.url.database} OWNER TO {name}")
    monkeypatch.setenv("DATABASE_URL", local.url.copy_with(user=name, password="plain").reveal())
    yield local
    server.drop_database(local.url)
    superuser.run(f"DROP ROLE {name}")


def test_an_owner_who_may_not_create_a_database_drops_none(without_createdb: Database, root: Path) -> None:
    with pytest.raises(DatabaseFailed, match="stands as it was: permission denied to create database") as refused:
        run_reset(root)
    assert "CREATEDB" in refused.value.remedy
    assert tables(without_createdb) == ["kept", "t"]


def test_a_session_on_template1_is_no_obstacle(local: Database, server: PostgresServer, root: Path) -> None:
    with psycopg.connect(server.superuser.copy_with(database="template1").reveal()):
        run_reset(root)
    assert tables(local) == ["t"]


def test_a_database_that_cannot_be_dropped_stands_and_nothing_is_left_beside_it(
    local: Database, server: PostgresServer, root: Path
) -> None:
    superuser = Database(server.superuser)
    before = databases(superuser)
    with (
        psycopg.connect(server.as_superuser(local.url).reveal()),  # whom its owner may not disconnect
        pytest.raises(DatabaseFailed, match="stands as it was: permission denied to terminate process") as refused,
    ):
        run_reset(root)
    assert "to disconnect a superuser" in refused.value.remedy
    assert tables(local) == ["kept", "t"]
    assert databases(superuser) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_it_drops_it_leaves_the_old_one_and_nothing_beside_it(
    local: Database, server: PostgresServer, root: Path, number: int
) -> None:
    superuser = Database(server.superuser)
    before = databases(superuser)
    drops = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DROP DATABASE%'"

    def interrupt() -> None:
        until(lambda: superuser.value(drops) == 1)
        os.kill(os.getpid(), number)

    with superuser.connect() as other, ThreadPoolExecutor(1) as pool:
        other.execute(f"BEGIN; COMMENT ON DATABASE {local.url.database} IS 'held'")
        sent = pool.submit(interrupt)
        with pytest.raises(Interrupted) as interrupted:
            run_reset(root)
        sent.result()
    assert interrupted.value.exit_status == 128 + number
    assert "stands as it was" in interrupted.value.message
    assert tables(local) == ["kept", "t"]
    assert databases(superuser) == before


def test_what_a_killed_reset_left_is_removed_and_what_another_one_is_making_is_not(
    local: Database, server: PostgresServer, root: Path
) -> None:
    owner = Database(server.owner)
    for name in ("pipeline_reset_0123456789ab", "pipeline_reset_ba9876543210"):
        owner.run(f"CREATE DATABASE {name}")
    server.drop_database(local.url)  # as where it was killed between the drop and the renaming
    alive = server.owner.copy_merge_params({"application_name": "db-pipeline reset ba9876543210"})
    with psycopg.connect(alive.reveal()):
        run_reset(root)
        assert "pipeline_reset_0123456789ab" not in databases(owner)
        assert "pipeline_reset_ba9876543210" in databases(owner)
    assert tables(local) == ["t"]
    owner.run("DROP DATABASE pipeline_reset_ba9876543210")
