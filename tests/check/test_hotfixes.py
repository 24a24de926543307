"""A hotfix of a release: its number, what `check` says of it on the release's branch and on main, and where it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.check.base import against_base, is_release, read_base
from pipeline.check.hotfixes import unproven_hotfixes
from pipeline.check.renumbering import renumber_files
from pipeline.deploy import apply
from pipeline.errors import InvalidPlan
from pipeline.generate import Workbench
from pipeline.migrations import read_folder
from pipeline.migrations.names import next_number
from pipeline.schema.shadows import open_shadows
from tests.support.repository import Repository

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.support.sample import Database
    from tests.support.server import PostgresServer

RELEASE = "release/1"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A release with two migrations, main with two more, and a branch from the release that is checked out."""
    made = Repository.create(tmp_path)
    for id_ in ("0001_first", "0002_second"):
        made.write(id_)
    made.commit()
    made.git("branch", "-q", RELEASE)
    for id_ in ("0003_third", "0004_fourth"):
        made.write(id_)
    made.commit()
    made.git("switch", "-qc", "hotfix", RELEASE)
    return made


def numbers(repository: Repository, base: str) -> list[tuple[str, str]]:
    """(file, help) of the numbers that are not to be."""
    path = repository.migrations
    found = against_base(read_folder(path), path, read_base(path, base))
    return [(Path(finding.path).name, finding.help) for finding in found if finding.rule == "number"]


def unproven(repository: Repository, base: str, database: DatabaseURL) -> list[str]:
    with open_shadows(database, None) as shadows:
        folder, on_base = read_folder(repository.migrations), read_base(repository.migrations, base)
        return [
            f"{Path(each.path).name}: {each.message}"
            for each in unproven_hotfixes(Workbench(repository.root, database), folder, on_base, shadows)
        ]


@pytest.mark.parametrize(
    ("ids", "following"),
    [
        (["0006_a"], "0006a"),
        (["0006_a", "0006a_b"], "0006b"),
        (["0006_z", "0006a_b"], "0006b"),
    ],
)
def test_the_number_of_a_hotfix_is_the_releases_with_the_next_letter(ids: list[str], following: str) -> None:
    assert next_number(ids, hotfix=True) == following
    assert next_number(ids) == "0007"
    assert sorted([*ids, f"{following}_x", "0007_a"]) == [*sorted(ids), f"{following}_x", "0007_a"]


def test_behind_the_last_letter_there_is_none() -> None:
    with pytest.raises(InvalidPlan, match="no hotfix number behind 0006z"):
        next_number(["0006_a", "0006z_b"], hotfix=True)


@pytest.mark.parametrize("name", ["release/1", "origin/release/2026-11", "refs/heads/release/1"])
def test_a_releases_branch_is_told_by_its_name(name: str) -> None:
    assert is_release(name)
    assert not is_release(name.replace("release/", "released/"))
    assert not is_release(f"feature/{name}")


def test_every_plain_number_is_refused_on_a_releases_branch_and_renumber_gives_letters(repository: Repository) -> None:
    repository.write("0003_fix")
    repository.write("0005_fix_too", depends="0003_fix")
    found = numbers(repository, RELEASE)
    assert [name for name, _ in found] == ["0003_fix.sql", "0005_fix_too.sql"]
    assert all(f"./inv renumber --base {RELEASE}" in help_ for _, help_ in found)
    assert renumber_files(repository.root, base=RELEASE).ids == (
        ("0003_fix", "0002a_fix"),
        ("0005_fix_too", "0002b_fix_too"),
    )
    assert numbers(repository, RELEASE) == []
    assert "-- depends: 0002a_fix\n" in (repository.migrations / "0002b_fix_too.sql").read_text()
    assert renumber_files(repository.root, base=RELEASE).ids == ()


@pytest.mark.parametrize("id_", ["0001a_fix", "0003a_fix"])
def test_a_hotfix_of_another_release_is_refused_too(repository: Repository, id_: str) -> None:
    repository.write(id_)
    assert [name for name, _ in numbers(repository, RELEASE)] == [f"{id_}.sql"]


def test_main_takes_it_over_under_its_number(repository: Repository, database: DatabaseURL) -> None:
    repository.write("0002a_fix")
    repository.commit()
    repository.git("switch", "-qc", "takeover", "main")
    repository.git("merge", "-q", "hotfix", "-m", "take it over")
    assert numbers(repository, "main") == []
    assert renumber_files(repository.root, base="main").ids == ()
    assert unproven(repository, "main", database) == []


def test_production_and_a_database_that_is_further_come_to_the_same(
    repository: Repository, db: Database, server: PostgresServer
) -> None:
    dev = server.create_database()
    repository.git("switch", "-q", "main")
    apply(dev, read_folder(repository.migrations))
    repository.git("switch", "-q", "hotfix")
    apply(db.url, read_folder(repository.migrations))
    repository.write("0002a_fix")
    repository.commit()
    assert [each.id for each in apply(db.url, read_folder(repository.migrations)).applied] == ["0002a_fix"]
    repository.git("switch", "-q", "main")
    with pytest.raises(InvalidPlan, match="0002a_fix") as caught:
        apply(db.url, read_folder(repository.migrations))
    assert "docs/a-hotfix.md" in str(caught.value)
    repository.git("merge", "-q", "hotfix", "-m", "take it over")
    assert [each.id for each in apply(db.url, read_folder(repository.migrations)).applied] == [
        "0003_third",
        "0004_fourth",
    ]
    assert [each.id for each in apply(dev, read_folder(repository.migrations)).applied] == ["0002a_fix"]
    server.drop_database(dev)


LIKE_MAINS = ("0005_new", "CREATE TABLE IF NOT EXISTS new (id int);", "DROP TABLE new;")
MAIN_DROPS = ("0004_fourth", "DROP TABLE second;", "CREATE TABLE second (id int);")


@pytest.mark.parametrize(
    ("mains", "fix", "said"),
    [
        pytest.param(LIKE_MAINS, LIKE_MAINS[1], None, id="as main's, and twice the same"),
        pytest.param((), "ALTER TABLE first ADD a int;", None, id="of its own"),
        pytest.param(("0005_fix",), "CREATE TABLE fix (id int);", "main cannot go on from it", id="what main does too"),
        pytest.param(
            MAIN_DROPS, "ALTER TABLE second ADD a int;", "does not run behind 0004_fourth", id="what main dropped"
        ),
        pytest.param(
            ("0004_fourth", "ALTER TABLE second RENAME id TO key;", "ALTER TABLE second RENAME key TO id;"),
            "CREATE TABLE IF NOT EXISTS third (id int, more int);",
            "builds something else behind 0004_fourth",
            id="what depends on the order",
        ),
    ],
)
def test_a_hotfix_that_main_could_not_take_over_is_found_before_it_is_released(
    repository: Repository, database: DatabaseURL, mains: tuple[str, ...], fix: str, said: str | None
) -> None:
    repository.git("switch", "-q", "main")
    if said == "builds something else behind 0004_fourth":
        repository.write("0003_third", "CREATE TABLE IF NOT EXISTS third (id int);")
    if mains:
        repository.write(*mains)
        repository.commit()
    repository.git("switch", "-q", "hotfix")
    repository.write("0002a_fix", fix, "SELECT 1;")
    found = unproven(repository, RELEASE, database)
    if said is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith("0002a_fix.sql: ")
        assert said in found[0]


def test_a_number_that_main_gave_to_another_hotfix_is_found(repository: Repository, database: DatabaseURL) -> None:
    repository.git("switch", "-q", "main")
    repository.write("0002a_another")
    repository.commit()
    repository.git("switch", "-q", "hotfix")
    repository.write("0002a_fix")
    assert unproven(repository, RELEASE, database) == ["0002a_fix.sql: number 0002a is taken by 0002a_another on main"]
