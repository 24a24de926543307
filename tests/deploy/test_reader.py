"""The role of CI's plan: what it may see is the history and the catalogs, and that is enough for `plan` and `diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from dbclient.url import DatabaseURL
from pipeline.deploy import apply
from pipeline.deploy.checkout import open_checkout
from pipeline.deploy.observer import Observer
from pipeline.deploy.reader import make_reader
from pipeline.deploy.status import read_status
from pipeline.deploy.target import Target
from pipeline.errors import DatabaseFailed, Refused
from pipeline.history.beside import READER
from pipeline.migrations import read_folder
from tests.emulator.urls import uri
from tests.support.backfills import items, registered
from tests.support.databases import MIGRATIONS
from tests.support.sample import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.folders import FolderBuilder
    from tests.support.server import PostgresServer


@pytest.fixture
def deployed(database: DatabaseURL) -> DatabaseURL:
    """A database as a deploy by a bare URL leaves it."""
    apply(database, read_folder(MIGRATIONS))
    return database


@pytest.fixture
def no_reader(server: PostgresServer, database: DatabaseURL) -> Iterator[None]:
    """The role belongs to the server: it goes with the test."""
    yield
    superuser = Database(server.as_superuser(database))
    if superuser.value(f"SELECT to_regrole('{READER}')") is not None:
        superuser.run(f"DROP OWNED BY {READER}; DROP ROLE {READER}")


def make(url: DatabaseURL, monkeypatch: pytest.MonkeyPatch, root: Path) -> DatabaseURL:
    monkeypatch.setenv("DATABASE_URL", url.reveal())
    return make_reader(open_checkout(root, None, "reader"))


@pytest.mark.usefixtures("no_reader")
@pytest.mark.parametrize("first", ["the role", "the backfill"])
def test_it_sees_how_far_a_backfill_is(
    database: DatabaseURL, folder: FolderBuilder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: str
) -> None:
    items(folder, 10)
    apply(database, folder.read())
    url = make(database, monkeypatch, tmp_path) if first == "the role" else None
    registered(database, folder)
    url = url or make(database, monkeypatch, tmp_path)
    seen = read_status(url, folder.read(), target=Target(), observer=Observer())
    assert [(each.id, each.state, each.percent) for each in seen.backfills] == [("0003_done", "registered", 0)]


@pytest.mark.usefixtures("no_reader")
def test_it_sees_what_a_plan_needs_and_nothing_else(
    deployed: DatabaseURL, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    owner = Database(deployed)
    owner.run("INSERT INTO migration_history.role_password VALUES ('server', 'br-1', 'salt', 'fingerprint')")
    url = make(deployed, monkeypatch, tmp_path)
    seen = read_status(url, read_folder(MIGRATIONS), target=Target("prod"), observer=Observer())
    assert (seen.identity.user, len(seen.plan.applied), seen.plan.pending) == (READER, 6, ())
    assert [each.role for each in seen.history.passwords] == ["server"]
    refused = [
        'SELECT * FROM "Message"',
        'SELECT * FROM "User"',
        "SELECT salt FROM migration_history.role_password",
        "SELECT fingerprint FROM migration_history.role_password",
        "DELETE FROM migration_history._yoyo_migration",
        "CREATE TABLE public.mine ()",
        "CREATE TEMPORARY TABLE mine ()",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "SET ROLE server",
    ]
    for read_only in ("on", "off"):
        with psycopg.connect(url.reveal(), autocommit=True) as connection:
            assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
            connection.execute(f"SET default_transaction_read_only = {read_only}")
            for statement in refused:
                with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)):
                    connection.execute(statement)


@pytest.mark.usefixtures("no_reader")
def test_made_again_it_has_another_password_and_the_old_one_is_refused(
    deployed: DatabaseURL, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = make(deployed, monkeypatch, tmp_path)
    second = make(deployed, monkeypatch, tmp_path)
    assert first.password != second.password
    assert Database(second).value("SELECT current_user") == READER
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        Database(first).connect()


@pytest.mark.usefixtures("no_reader")
def test_a_role_of_that_name_that_may_do_more_is_not_taken_over(
    deployed: DatabaseURL, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Database(deployed).run(f"CREATE ROLE {READER}; GRANT server TO {READER}")
    with pytest.raises(DatabaseFailed, match="may do more than look") as caught:
        make(deployed, monkeypatch, tmp_path)
    assert "memberships" in caught.value.remedy
    assert Database(deployed).value(f"SELECT rolcanlogin FROM pg_roles WHERE rolname = '{READER}'") is False


@pytest.mark.usefixtures("no_reader")
def test_before_the_first_deploy_there_is_nothing_to_read(
    database: DatabaseURL, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="has no history yet"):
        make(database, monkeypatch, tmp_path)
    assert Database(database).value(f"SELECT to_regrole('{READER}')") is None


def test_it_is_made_and_looks_on_a_branch_of_neons(
    project: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    owner = DatabaseURL.parse(uri(project))
    apply(owner, read_folder(MIGRATIONS))
    url = make(owner, monkeypatch, tmp_path)
    seen = read_status(url, read_folder(MIGRATIONS), target=Target("prod"), observer=Observer())
    assert (seen.identity.user, seen.plan.pending) == (READER, ())
    assert seen.identity.branch_id
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        Database(url).rows('SELECT * FROM "Message"')
