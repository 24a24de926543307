"""`renumber`: after a merge, this branch's migrations stand behind those that were merged, here and in the local history."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.check.base import against_base, read_base
from pipeline.check.renumbering import renumber_files, renumber_here
from pipeline.deploy import apply
from pipeline.deploy.observer import Observer
from pipeline.deploy.rolling_back import rollback
from pipeline.errors import InvalidPlan, UsageError
from pipeline.migrations import read_folder
from pipeline.migrations.renumbering import new_ids, renamed_text
from tests.support.repository import Repository

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL

ROOT = Path(__file__).parents[2]
BASE = ("0001_first", "0002_second")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository.create(tmp_path)
    for id_ in BASE:
        made.write(id_)
    made.commit()
    made.git("checkout", "-qb", "branch")
    return made


def merged(repository: Repository, *theirs: str) -> None:
    """Commit what stands here on the branch, those on main meanwhile, and merge main."""
    repository.commit()
    repository.git("checkout", "-q", "main")
    for id_ in theirs:
        repository.write(id_)
    repository.commit()
    repository.git("checkout", "-q", "branch")
    repository.git("merge", "-q", "main", "-m", "merge")


def test_all_that_clash_move_behind_what_was_merged_and_keep_their_order(repository: Repository) -> None:
    repository.write("0003_ours")
    repository.write("0004_ours_too", depends="0002_second 0003_ours")
    repository.write("0005_last", depends="0004_ours_too")
    merged(repository, "0003_theirs", "0004_theirs_too")
    found = against_base(
        read_folder(repository.migrations), repository.migrations, read_base(repository.migrations, "main")
    )
    assert [(finding.rule, Path(finding.path).name) for finding in found] == [
        ("number", "0003_ours.sql"),
        ("number", "0004_ours_too.sql"),
    ]
    assert all("./inv renumber --base main" in finding.help for finding in found)
    done = renumber_files(repository.root)
    assert done.base == "main"
    assert done.ids == (("0003_ours", "0005_ours"), ("0004_ours_too", "0006_ours_too"), ("0005_last", "0007_last"))
    assert repository.ids() == [*BASE, "0003_theirs", "0004_theirs_too", "0005_ours", "0006_ours_too", "0007_last"]
    assert "-- depends: 0002_second 0005_ours\n" in (repository.migrations / "0006_ours_too.sql").read_text()
    assert (repository.migrations / "0007_last.rollback.sql").exists()
    assert renumber_files(repository.root).ids == ()


def test_one_takes_along_what_depends_on_it_and_nothing_else(repository: Repository) -> None:
    repository.write("0003_ours")
    repository.write("0004_apart")
    repository.write("0005_behind", depends="0003_ours")
    repository.commit()
    assert dict(renumber_files(repository.root, chosen=["0003"]).ids) == {
        "0003_ours": "0005_ours",
        "0005_behind": "0006_behind",
    }
    with pytest.raises(UsageError, match="0002_second is merged"):
        renumber_files(repository.root, chosen=["0002"])
    with pytest.raises(UsageError, match="no migration 0009"):
        renumber_files(repository.root, chosen=["0009"])
    with pytest.raises(UsageError, match="git knows no such commit"):
        renumber_files(repository.root, base="nowhere")


def test_two_of_one_number_are_told_apart_by_their_whole_id(repository: Repository) -> None:
    repository.write("0003_ours")
    repository.write("0003_ours_too")
    folder = read_folder(repository.migrations)
    with pytest.raises(UsageError, match="0003_ours and 0003_ours_too"):
        new_ids(folder, BASE, ["0003"])
    assert new_ids(folder, BASE, ["0003_ours"]) == {"0003_ours": "0004_ours"}
    assert new_ids(folder, BASE) == {"0003_ours_too": "0004_ours_too"}


def test_without_a_free_number_nothing_moves(repository: Repository) -> None:
    repository.write("9998_ours")
    repository.write("9999_ours")
    with pytest.raises(InvalidPlan, match="no number behind 9999"):
        new_ids(read_folder(repository.migrations), [*BASE, "9999_theirs"])


def test_a_name_that_is_taken_leaves_everything_as_it_was(repository: Repository) -> None:
    repository.write("0003_ours")
    repository.write("0004_ours_too")
    merged(repository, "0003_theirs")
    (repository.migrations / "0005_ours_too.rollback.sql").write_text("-- somebody's\n")
    before = {path.name: path.read_bytes() for path in repository.migrations.iterdir()}
    with pytest.raises(FileExistsError):
        renumber_files(repository.root)
    assert {path.name: path.read_bytes() for path in repository.migrations.iterdir()} == before


def test_only_what_a_file_depends_on_is_written_otherwise() -> None:
    text = b"-- Title\n-- depends: 0001_a 0002_b\n\nSELECT '0001_a'; -- 0001_a\n"
    expected = b"-- Title\n-- depends: 0003_a 0002_b\n\nSELECT '0001_a'; -- 0001_a\n"
    assert renamed_text(text, {"0001_a": "0003_a"}) == expected


@pytest.fixture
def local(database: DatabaseURL, monkeypatch: pytest.MonkeyPatch) -> DatabaseURL:
    monkeypatch.setenv("DATABASE_URL", database.reveal())
    return database


def test_the_local_history_follows_and_is_told_what_to_do(repository: Repository, local: DatabaseURL) -> None:
    repository.write("0003_ours")
    repository.write("0004_ours_too", depends="0003_ours")
    apply(local, read_folder(repository.migrations), verb="migrate")
    with psycopg.connect(local.reveal()) as connection:
        connection.execute("INSERT INTO migration_history.environment_marker VALUES (true, 'local', '')")
        connection.execute("INSERT INTO ours VALUES (1)")
    merged(repository, "0003_theirs")
    history = renumber_here(repository.root, base=None, chosen=(), observer=Observer()).history
    assert history is not None
    assert history.rows == (("0003_ours", "0004_ours"), ("0004_ours_too", "0005_ours_too"))
    assert history.too_early == ("0003_theirs",)
    folder = read_folder(repository.migrations)
    rollback(local, folder, to="0002")
    assert [each.id for each in apply(local, folder, verb="migrate").applied] == [
        "0003_theirs",
        "0004_ours",
        "0005_ours_too",
    ]


def test_a_history_that_was_left_behind_is_brought_up_to_date_by_the_next_run(
    repository: Repository, local: DatabaseURL
) -> None:
    repository.write("0003_ours")
    repository.write("0004_ours_too", depends="0003_ours")
    apply(local, read_folder(repository.migrations), verb="migrate")
    with psycopg.connect(local.reveal()) as connection:
        connection.execute("INSERT INTO migration_history.environment_marker VALUES (true, 'local', '')")
    merged(repository, "0003_theirs")
    renumber_files(repository.root)  # as when it was killed then, or somebody else renamed them and this is a pull
    done = renumber_here(repository.root, base=None, chosen=(), observer=Observer())
    assert done.ids == ()
    assert done.history is not None
    assert len(done.history.rows) == 2
    again = renumber_here(repository.root, base=None, chosen=(), observer=Observer())
    assert again.history is not None
    assert (again.ids, again.history.rows, again.history.too_early) == ((), (), ("0003_theirs",))


def test_another_text_under_the_same_name_is_not_the_same_migration(repository: Repository, local: DatabaseURL) -> None:
    repository.write("0003_ours")
    apply(local, read_folder(repository.migrations), verb="migrate")
    for ending in (".sql", ".rollback.sql"):
        (repository.migrations / f"0003_ours{ending}").unlink()
    repository.write("0004_ours", depends="0002_second")
    done = renumber_here(repository.root, base=None, chosen=(), observer=Observer())
    assert done.history is not None
    assert done.history.rows == ()


def test_a_database_that_cannot_be_asked_keeps_nobody_from_renaming(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody@db.example.org/shop")
    repository.write("0003_ours")
    merged(repository, "0003_theirs")
    done = renumber_here(repository.root, base=None, chosen=(), observer=Observer())
    assert done.ids == (("0003_ours", "0004_ours"),)
    assert done.history is None
    assert "not local" in done.why


def test_nothing_that_check_proves_with_is_imported() -> None:
    code = "import sys; import pipeline.check.renumbering; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    unwanted = {"psycopg.connection", "pglast", "yoyo", "pipeline.check.checking", "pipeline.generate.generating"}
    assert unwanted & set(done.stdout.split()) == set()
