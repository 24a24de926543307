"""What a local verb may change: the checkout's own server, a database that is marked as local, or an empty one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.check import check_here
from pipeline.deploy import apply
from pipeline.deploy.checkout import deploy, local_checkout, open_checkout
from pipeline.deploy.claim import nobody
from pipeline.deploy.rolling_back import roll_back
from pipeline.deploy.target import Target
from pipeline.errors import NotLocal, WrongTarget
from pipeline.generate.entry import migrate_by_name, push_here, verify_here
from pipeline.generate.proposals import Wishes
from pipeline.local.psql import psql
from pipeline.local.reset import reset
from pipeline.local.seed import seed_here
from pipeline.migrations import read_folder
from tests.support.databases import LOCAL, PRODUCT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sample import Database


REPOSITORY = Path(__file__).parents[2]
MARKER = "SELECT environment, branch_id FROM migration_history.environment_marker"

# Every verb that may change rows or tables of the local database, or roles of its server.
WRITING: dict[str, Callable[[Path], object]] = {
    "migrate": lambda root: deploy(local_checkout(root, "migrate")),
    "migrate --name": lambda root: migrate_by_name(local_checkout(root, "migrate"), "change", Wishes()),
    "push": lambda root: push_here(local_checkout(root, "push"), allow_destructive=True),
    "rollback": lambda root: roll_back(local_checkout(root, "rollback"), "0000"),
    "seed": lambda root: seed_here(local_checkout(root, "seed"), threads=1, messages=1, number=0),
    "reset": lambda root: reset(local_checkout(root, "reset"), confirm=lambda _: True),
    "verify": lambda root: verify_here(local_checkout(root, "verify"), ()),
    "check": lambda root: check_here(local_checkout(root, "check"), base=None, lint_everything=False),
    "deploy --env local": lambda root: deploy(open_checkout(root, "local", "deploy", ask=nobody)),
}


@pytest.fixture
def somebodys(db: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A migrated database with a row on loopback that nothing calls local: it may be at the end of a tunnel."""
    monkeypatch.setenv("DATABASE_URL", db.url.reveal())
    apply(db.url, read_folder(PRODUCT / "migrations"))
    db.run("""INSERT INTO "Thread" DEFAULT VALUES""")
    return db


def contents(database: Database) -> list[object]:
    """What a verb that was let through would have changed: relations, rows, the history and its marker, other databases."""
    return [
        database.rows("SELECT oid, relname FROM pg_class ORDER BY oid"),
        database.rows('SELECT * FROM "Thread"'),
        database.rows("SELECT * FROM migration_history._yoyo_log ORDER BY id"),
        database.rows(MARKER),
        database.rows("SELECT oid, datname FROM pg_database ORDER BY oid"),
    ]


@pytest.mark.parametrize("verb", WRITING)
def test_what_nothing_calls_local_is_refused_where_nobody_can_be_asked(somebodys: Database, verb: str) -> None:
    before = contents(somebodys)
    with pytest.raises(NotLocal, match="nothing says that it is a local database") as refused:
        WRITING[verb](PRODUCT)
    assert "./inv migrate" in refused.value.remedy
    assert refused.value.exit_code == 3
    assert contents(somebodys) == before


RUNNING = WRITING | {"psql": lambda root: psql(root, "local", ["-c", "SELECT 1"], tell=lambda _: None)}


@pytest.mark.parametrize("verb", RUNNING)
def test_a_database_that_was_deployed_to_as_prod_is_refused_on_loopback_too(somebodys: Database, verb: str) -> None:
    deploy(open_checkout(PRODUCT, "prod", "deploy"))
    assert somebodys.rows(MARKER) == [("prod", "")]
    with pytest.raises(NotLocal, match="says of itself that it is prod, which is not local") as refused:
        RUNNING[verb](PRODUCT)
    assert "./inv deploy --env prod" in refused.value.remedy
    assert somebodys.value('SELECT count(*) FROM "Thread"') == 1


def test_psql_there_is_read_only(somebodys: Database) -> None:
    told: list[str] = []
    delete = ["-X", "-c", 'DELETE FROM "Thread"']
    assert psql(REPOSITORY, "local", delete, tell=told.append) == 1
    assert somebodys.value('SELECT count(*) FROM "Thread"') == 1
    assert "read-only" in told[0]
    deploy(local_checkout(PRODUCT, "migrate", ask=lambda _: str(somebodys.url.database)))
    assert psql(REPOSITORY, "local", delete, tell=told.append) == 0
    assert somebodys.value('SELECT count(*) FROM "Thread"') == 0


def test_its_name_is_asked_for_once_and_it_is_local_then(somebodys: Database) -> None:
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return f" {somebodys.url.database}\n"

    roll_back(local_checkout(PRODUCT, "rollback", ask=ask), "0004")
    assert somebodys.rows(MARKER) == [("local", "")]
    roll_back(local_checkout(PRODUCT, "rollback", ask=ask), "0004")
    (question,) = asked
    assert f"{somebodys.url.host}:{somebodys.url.port}/{somebodys.url.database} holds data" in question


def test_another_name_is_a_no(somebodys: Database) -> None:
    with pytest.raises(NotLocal, match="that is not the name of"):
        reset(local_checkout(PRODUCT, "reset", ask=lambda _: "y"), confirm=lambda _: True)
    assert somebodys.value('SELECT count(*) FROM "Thread"') == 1


def test_an_empty_database_is_made_local_by_migrate_and_an_extension_does_not_fill_it(
    db: Database, superuser: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", db.url.reveal())
    if superuser.value("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"):
        superuser.run("CREATE EXTENSION vector")
    deploy(local_checkout(PRODUCT, "migrate"))
    assert db.rows(MARKER) == [("local", "")]
    reset(local_checkout(PRODUCT, "reset"), confirm=lambda _: True)
    assert db.rows(MARKER) == [("local", "")]


@pytest.mark.parametrize(
    "content",
    [
        'CREATE TABLE "Thread" ()',
        "CREATE SCHEMA app; CREATE SEQUENCE app.numbers",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT lo_create(0)",
    ],
)
def test_anything_in_it_makes_a_database_somebodys(db: Database, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", db.url.reveal())
    db.run(content)
    with pytest.raises(NotLocal, match="nothing says that it is a local database"):
        reset(local_checkout(PRODUCT, "reset"), confirm=lambda _: True)


def test_a_local_database_is_not_deployed_to_under_another_name(db: Database) -> None:
    folder = read_folder(PRODUCT / "migrations")
    apply(db.url, folder, target=LOCAL)
    with pytest.raises(WrongTarget, match="this database says that it is local, not prod"):
        apply(db.url, folder, target=Target(environment="prod"))
