"""Git switches to another branch, and the local database follows: what has to be undone was kept when it was applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.deploy.checkout import deploy, local_checkout
from pipeline.deploy.observer import Observer
from pipeline.deploy.rolling_back import roll_back
from pipeline.errors import AnotherBranch, InvalidPlan, PipelineError, Refused
from pipeline.local.switching import deploy_or_switch, switch
from pipeline.postgres.lock import TRY
from tests.support.repository import Repository

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database


class Notes(Observer):
    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)


KEPT = "SELECT migration_id, branch FROM migration_history.kept_text ORDER BY 1"


@pytest.fixture
def repository(tmp_path: Path, db: Database, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Two merged migrations; a branch `long` with three more, which the local database has; main, which is checked out."""
    monkeypatch.setenv("DATABASE_URL", db.url.reveal())
    made = Repository.create(tmp_path / "checkout")
    for id_ in ("0001_first", "0002_second"):
        made.write(id_)
    made.commit("two")
    made.git("switch", "-qc", "long")
    for id_ in ("0003_a", "0004_b", "0005_c"):
        made.write(id_)
    made.commit("three")
    migrate(made)
    made.git("switch", "-q", "main")
    return made


def migrate(repository: Repository) -> None:
    deploy(local_checkout(repository.root, "migrate"))


def run_switch(root: Path) -> tuple[list[str], tuple[str, ...], list[str]]:
    """Switch; what was asked, what was undone, and what was applied."""
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        return True

    done = switch(local_checkout(root, "switch"), confirm=confirm)
    return asked, done.undone, [each.id for each in done.report.applied]


def test_migrate_says_in_one_sentence_whose_they_are(repository: Repository) -> None:
    repository.write("0003_theirs")
    commit = repository.git("rev-parse", "--short", "long").strip()
    with pytest.raises(AnotherBranch) as caught:
        migrate(repository)
    assert caught.value.message == (
        "the local database has what this branch, main, does not have: "
        f"3 migrations of branch long (commit {commit}): 0003_a, 0004_b, 0005_c"
    )
    assert "./inv switch" in caught.value.remedy


def test_they_are_undone_and_what_the_branch_has_is_applied_and_back(repository: Repository, db: Database) -> None:
    repository.write("0003_theirs")
    repository.commit("theirs")
    asked, undone, applied = run_switch(repository.root)
    assert len(asked) == 1
    assert "3 migrations of branch long" in asked[0]
    assert (undone, applied) == (("0005_c", "0004_b", "0003_a"), ["0003_theirs"])
    assert db.applied() == ["0001_first", "0002_second", "0003_theirs"]
    repository.git("switch", "-q", "long")
    assert run_switch(repository.root)[1:] == (("0003_theirs",), ["0003_a", "0004_b", "0005_c"])
    assert run_switch(repository.root) == ([], (), [])


def test_a_branch_that_is_deleted_and_never_was_committed_is_undone_all_the_same(
    repository: Repository, db: Database
) -> None:
    repository.git("branch", "-qD", "long")
    repository.git("reflog", "expire", "--expire=now", "--all")
    repository.git("gc", "-q", "--prune=now")
    with pytest.raises(AnotherBranch, match=r"3 migrations of branch long \(not committed\)"):
        migrate(repository)
    assert run_switch(repository.root)[1] == ("0005_c", "0004_b", "0003_a")
    assert db.value("SELECT to_regclass('a') IS NULL")


def test_rollback_needs_no_files_either(repository: Repository, db: Database) -> None:
    roll_back(local_checkout(repository.root, "rollback"), "0003")
    assert db.applied() == ["0001_first", "0002_second", "0003_a"]


def test_what_a_rebase_or_a_squash_made_of_them_is_applied_anew(repository: Repository, db: Database) -> None:
    repository.git("switch", "-q", "long")
    repository.remove("0004_b")
    repository.write("0003_a", "CREATE TABLE a (id int, b int);", "DROP TABLE a;")
    repository.commit("squashed")
    assert run_switch(repository.root)[1:] == (("0005_c", "0004_b", "0003_a"), ["0003_a", "0005_c"])
    assert db.value("SELECT count(*) FROM information_schema.columns WHERE table_name = 'a'") == 2


def test_what_comes_before_an_applied_one_is_reached_by_undoing_that(repository: Repository, db: Database) -> None:
    repository.git("switch", "-q", "long")
    repository.git("mv", "migrations/0005_c.sql", "migrations/0006_c.sql")
    repository.git("mv", "migrations/0005_c.rollback.sql", "migrations/0006_c.rollback.sql")
    repository.write("0005_between")
    done = switch(local_checkout(repository.root, "switch"), confirm=lambda _: True)
    assert done.renamed == (("0005_c", "0006_c"),)
    assert (done.undone, [each.id for each in done.report.applied]) == (("0006_c",), ["0005_between", "0006_c"])
    assert db.applied()[-2:] == ["0005_between", "0006_c"]


def test_what_has_another_number_only_is_not_undone(repository: Repository) -> None:
    repository.git("switch", "-q", "long")
    repository.git("mv", "migrations/0005_c.sql", "migrations/0006_c.sql")
    repository.git("mv", "migrations/0005_c.rollback.sql", "migrations/0006_c.rollback.sql")
    with pytest.raises(InvalidPlan, match="0005_c is 0006_c now") as caught:
        migrate(repository)
    assert "./inv renumber" in caught.value.remedy


@pytest.mark.parametrize("fault", ["refused", "a draft", "no rollback", "not kept"])
def test_nothing_is_undone_when_the_rest_cannot_be_done(repository: Repository, db: Database, fault: str) -> None:
    error: type[Exception] = InvalidPlan
    if fault == "refused":
        error = Refused
    elif fault == "a draft":
        repository.write("0003_theirs", "-- pipeline: draft\nSELECT 1;")
    elif fault == "no rollback":
        db.run("UPDATE migration_history.kept_text SET backward = NULL WHERE migration_id = '0004_b'")
    else:
        db.run("DROP TABLE migration_history.kept_text")
    with pytest.raises(error):
        switch(local_checkout(repository.root, "switch"), confirm=lambda _: False)
    assert db.applied()[2:] == ["0003_a", "0004_b", "0005_c"]


def test_a_failed_rollback_says_what_is_undone(repository: Repository, db: Database) -> None:
    db.run("DROP TABLE b")
    with pytest.raises(Exception, match="1 of 3 rolled back in this run"):
        switch(local_checkout(repository.root, "switch"), confirm=lambda _: True)
    assert db.applied()[2:] == ["0003_a", "0004_b"]


def test_an_index_that_was_built_concurrently_is_taken_back_so(repository: Repository, db: Database) -> None:
    repository.git("switch", "-q", "long")
    outside = "-- transactional: false\n"
    repository.write(
        "0006_i", f"{outside}CREATE INDEX CONCURRENTLY i ON a (id);", f"{outside}DROP INDEX CONCURRENTLY i;"
    )
    repository.commit("index")
    migrate(repository)
    repository.git("switch", "-q", "main")
    assert run_switch(repository.root)[1][0] == "0006_i"
    assert db.value("SELECT to_regclass('i') IS NULL")


def test_a_database_from_before_keeps_the_texts_with_the_next_migrate(repository: Repository, db: Database) -> None:
    db.run("DROP TABLE migration_history.kept_text")
    repository.git("switch", "-q", "long")
    migrate(repository)
    assert [id_ for id_, _ in db.rows(KEPT)] == ["0001_first", "0002_second", "0003_a", "0004_b", "0005_c"]


def test_a_rollback_file_that_was_put_right_is_kept_as_it_is_now(repository: Repository, db: Database) -> None:
    repository.git("switch", "-q", "long")
    (repository.migrations / "0005_c.rollback.sql").write_text("DROP TABLE c CASCADE;\n")
    migrate(repository)
    kept = "SELECT backward, branch FROM migration_history.kept_text WHERE migration_id = '0005_c'"
    assert db.rows(kept) == [("DROP TABLE c CASCADE;\n", "long")]


def test_nothing_is_kept_anywhere_but_locally(db: Database, folder: FolderBuilder) -> None:
    folder.write("0001_t", "CREATE TABLE t ();", "DROP TABLE t;")
    apply(db.url, folder.read())
    assert db.value("SELECT to_regclass('migration_history.kept_text') IS NULL")


def test_somebody_who_migrates_meanwhile_is_noticed(repository: Repository, db: Database) -> None:
    def confirm(_: str) -> bool:
        repository.git("switch", "-q", "long")
        repository.write("0006_d")
        migrate(repository)
        repository.git("switch", "-q", "main")
        return True

    with pytest.raises(Refused, match="meanwhile"):
        switch(local_checkout(repository.root, "switch"), confirm=confirm)
    assert db.applied()[2:] == ["0003_a", "0004_b", "0005_c", "0006_d"]


def test_a_file_of_which_only_comments_were_edited_is_recorded_anew_and_not_run(
    repository: Repository, db: Database
) -> None:
    repository.git("switch", "-q", "long")
    path = repository.root / "migrations" / "0005_c.sql"
    path.write_text(f"-- A better title\n/* and why */ {path.read_text()}")
    notes = Notes()
    report = deploy(local_checkout(repository.root, "migrate", observer=notes))
    assert (report.already, report.applied) == (5, ())
    assert notes.told == ["0005_c: only its comments were edited since it was applied here, which is recorded"]
    assert deploy(local_checkout(repository.root, "migrate")).already == 5
    roll_back(local_checkout(repository.root, "rollback"), "0004")
    assert db.applied()[-1] == "0004_b"


def test_a_refused_run_records_no_edited_comments_either(repository: Repository, db: Database) -> None:
    repository.git("switch", "-q", "long")
    path = repository.root / "migrations" / "0005_c.sql"
    path.write_text(f"-- A better title\n{path.read_text()}")
    (repository.root / "migrations" / "0002_z.sql").write_text("SELECT 1;")  # out of order
    before = db.rows("SELECT * FROM migration_history._yoyo_log ORDER BY id")
    with pytest.raises(PipelineError, match="0002"):
        migrate(repository)
    assert db.rows("SELECT * FROM migration_history._yoyo_log ORDER BY id") == before


def test_nobody_waits_for_the_answer_about_the_last_one(repository: Repository, db: Database) -> None:
    repository.git("switch", "-q", "long")
    free: list[object] = []

    def confirm(_: str) -> bool:
        free.append(db.value(f"SELECT {TRY}"))
        return True

    report = roll_back(local_checkout(repository.root, "rollback"), confirm=confirm)
    assert (free, [each.id for each in report.applied]) == ([True], ["0005_c"])

    def meanwhile(_: str) -> bool:
        migrate(repository)
        return True

    with pytest.raises(Refused, match="meanwhile"):
        roll_back(local_checkout(repository.root, "rollback"), confirm=meanwhile)
    assert db.applied()[-1] == "0005_c"


def test_a_file_that_was_edited_is_offered_to_be_undone_and_applied_anew(repository: Repository, db: Database) -> None:
    repository.git("switch", "-q", "long")
    path = repository.root / "migrations" / "0005_c.sql"
    path.write_text(f"{path.read_text()}\nCREATE TABLE more ();\n")
    rollback = path.with_name("0005_c.rollback.sql")
    rollback.write_text(f"DROP TABLE more;\n{rollback.read_text()}")
    with pytest.raises(AnotherBranch, match=r"0005_c\.sql before it was edited") as caught:
        migrate(repository)
    assert "./inv switch" in caught.value.remedy
    asked: list[str] = []

    def offer(question: str) -> bool:
        asked.append(question)
        return True

    report = deploy_or_switch(local_checkout(repository.root, "migrate"), offer=offer)
    assert ([each.id for each in report.applied], len(asked)) == (["0005_c"], 1)
    assert db.value("SELECT to_regclass('more') IS NOT NULL") is True
    roll_back(local_checkout(repository.root, "rollback"), "0004")
    assert db.value("SELECT to_regclass('more') IS NULL") is True


def test_a_hotfix_that_main_took_over_is_applied_behind_what_is_there(repository: Repository, db: Database) -> None:
    repository.git("switch", "-q", "long")
    repository.write("0002a_fix")
    assert run_switch(repository.root) == ([], (), ["0002a_fix"])
    assert db.applied()[-1] == "0002a_fix"
