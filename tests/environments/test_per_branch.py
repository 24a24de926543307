"""A local database for each git branch: its name, what a copy has of the original, and who keeps it from being made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.environments.per_branch import database_name, database_of_branch, is_wanted
from pipeline.errors import ConfigurationError, Refused
from tests.support.repository import Repository
from tests.support.sample import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository.create(tmp_path)
    made.write("0001_first")
    made.commit()
    return made


@pytest.fixture
def copied(repository: Repository, db: Database, server: PostgresServer) -> Iterator[DatabaseURL]:
    """The database of the branch `fix`, made from one with a row, a right and two settings."""
    name = db.url.database
    db.run("CREATE TABLE t AS SELECT 1 AS a")
    db.run(f'REVOKE TEMPORARY ON DATABASE "{name}" FROM PUBLIC')
    db.run(f"ALTER DATABASE \"{name}\" SET search_path TO '', public")
    db.run(f"ALTER ROLE CURRENT_USER IN DATABASE \"{name}\" SET statement_timeout TO '7s'")
    repository.git("switch", "-qc", "fix")
    made = database_of_branch(repository.root, db.url, lambda _: None)
    yield made
    server.drop_database(made)


def test_the_base_branch_has_the_servers_own(repository: Repository, db: Database, tmp_path: Path) -> None:
    assert database_of_branch(repository.root, db.url, lambda _: None) == db.url
    assert database_of_branch(tmp_path.parent, db.url, lambda _: None) == db.url, "no git checkout"


def test_another_branch_has_a_copy_with_rows_rights_and_settings(copied: DatabaseURL, db: Database) -> None:
    assert copied.database == f"{db.url.database}__fix"
    made = Database(copied)
    assert made.value("SELECT a FROM public.t") == 1
    assert made.value("SHOW statement_timeout") == "7s"
    assert made.value("SHOW search_path") == db.value("SHOW search_path")
    rights = "SELECT array_agg(a::text ORDER BY a::text) FROM pg_database, unnest(datacl) a WHERE datname = current_database()"
    assert made.value(rights) == db.value(rights)


def test_it_is_made_once_and_what_happens_there_stays_there(
    copied: DatabaseURL, db: Database, repository: Repository
) -> None:
    Database(copied).run("INSERT INTO public.t VALUES (2)")
    told: list[str] = []
    assert database_of_branch(repository.root, db.url, told.append) == copied
    assert told == []
    assert Database(copied).value("SELECT count(*) FROM public.t") == 2
    assert db.value("SELECT count(*) FROM public.t") == 1


def test_who_is_connected_to_the_original_is_named_and_left_alone(repository: Repository, db: Database) -> None:
    repository.git("switch", "-qc", "fix")
    with db.connect() as connection:
        connection.execute("SET application_name TO 'a service'")
        with pytest.raises(Refused, match=r"a service \(pid \d+\)"):
            database_of_branch(repository.root, db.url, lambda _: None)
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_names_of_branches_that_are_alike_are_not_the_same_databases() -> None:
    names = [database_name("shop", branch) for branch in ("a/b", "a-b", "A-b", "a_b", "x" * 80, "x" * 81)]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 63 for name in names)
    assert names[3] == "shop__a_b"


def test_the_setting_is_0_or_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_PER_BRANCH", raising=False)
    assert not is_wanted()
    monkeypatch.setenv("LOCAL_PER_BRANCH", "1")
    assert is_wanted()
    monkeypatch.setenv("LOCAL_PER_BRANCH", "yes")
    with pytest.raises(ConfigurationError, match="LOCAL_PER_BRANCH=yes"):
        is_wanted()
