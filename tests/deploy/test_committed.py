"""An environment gets what is committed, as it is committed; the record names the commit that holds the file."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from pipeline.check.base import read_base
from pipeline.deploy import apply
from pipeline.deploy.authorship import author_of_committed, author_on_local
from pipeline.errors import Refused, UsageError
from pipeline.migrations import read_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.history.record import Author
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

# No configuration of the machine's: who commits, and what git is told to trust or to overlook, is the test's.
GIT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "GITHUB_", "CI_"))},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{f"GIT_{who}_{what}": "t@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", folder, *arguments], env=GIT, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def clone(folder: FolderBuilder) -> FolderBuilder:
    """A checkout in a folder of a larger one, with two migrations that are committed."""
    folder.write("0001_a", "SELECT 1;\n", "SELECT 1;\n").write("0002_b", "SELECT 2;\n")
    git(folder.path.parent, "init", "--quiet")
    git(folder.path.parent, "add", ".")
    git(folder.path.parent, "commit", "--quiet", "--message=one")
    return folder


def asked(folder: FolderBuilder, environ: dict[str, str] | None = None, *, uncommitted: bool = False) -> Author:
    return author_of_committed(folder.read(), GIT if environ is None else environ, uncommitted=uncommitted)


def test_what_is_committed_runs_and_its_record_names_the_commit(db: Database, clone: FolderBuilder) -> None:
    # the commit is the one that is checked out, whatever CI's variables say of the run
    apply(db.url, clone.read(), author=lambda: asked(clone, {**GIT, "GITHUB_SHA": "f" * 40}))
    commits = db.rows("SELECT DISTINCT substring(comment FROM 'commit=(\\S+)') FROM migration_history._yoyo_log")
    assert commits == [(git(clone.path, "rev-parse", "HEAD"),)]


def _untracked(clone: FolderBuilder) -> None:
    clone.write("0003_c", "SELECT 3;\n")


def _ignored(clone: FolderBuilder) -> None:
    (clone.path.parent / ".gitignore").write_text("0003*\n")
    clone.write("0003_c", "SELECT 3;\n")


def _staged(clone: FolderBuilder) -> None:
    clone.write("0003_c", "SELECT 3;\n")
    git(clone.path, "add", ".")


def _edited(clone: FolderBuilder) -> None:
    clone.write("0002_b", "SELECT 22;\n")


def _staged_edit(clone: FolderBuilder) -> None:
    _edited(clone)
    git(clone.path, "add", ".")


def _edited_behind_gits_back(clone: FolderBuilder) -> None:
    git(clone.path, "update-index", "--assume-unchanged", "0002_b.sql")
    _edited(clone)


def _removed(clone: FolderBuilder) -> None:
    (clone.path / "0002_b.sql").unlink()


def _linked(clone: FolderBuilder) -> None:
    (clone.path / "0002_b.sql").rename(clone.path.parent / "elsewhere")
    (clone.path / "0002_b.sql").symlink_to("../elsewhere")
    git(clone.path, "add", ".")
    git(clone.path, "commit", "--quiet", "--message=a link")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_untracked, "0003_c.sql: not in it"),
        (_ignored, "0003_c.sql: not in it"),
        (_staged, "0003_c.sql: not in it"),
        (_edited, "0002_b.sql: edited since"),
        (_staged_edit, "0002_b.sql: edited since"),
        (_edited_behind_gits_back, "0002_b.sql: edited since"),
        (_removed, "0002_b.sql: in it, and not here"),
        (_linked, "0002_b.sql: edited since"),
    ],
)
def test_what_is_not_as_in_the_commit_is_refused_and_named(
    clone: FolderBuilder, change: Callable[[FolderBuilder], None], named: str
) -> None:
    change(clone)
    with pytest.raises(Refused, match="not those of the commit") as caught:
        asked(clone)
    assert caught.value.exit_code == 3
    assert caught.value.message.splitlines()[1:] == [f"  {clone.read().path}/{named}"]
    assert "--uncommitted" in caught.value.remedy


def test_nothing_is_written_before_the_refusal(db: Database, clone: FolderBuilder) -> None:
    _untracked(clone)
    with pytest.raises(Refused):
        apply(db.url, clone.read(), author=lambda: asked(clone))
    assert db.value("SELECT to_regnamespace('migration_history')") is None


def test_uncommitted_files_that_are_wanted_run_and_their_records_say_so(db: Database, clone: FolderBuilder) -> None:
    _edited(clone)
    apply(db.url, clone.read(), author=lambda: asked(clone, uncommitted=True))
    recorded = db.rows(
        "SELECT migration_id, substring(comment FROM 'commit=(\\S+)') FROM migration_history._yoyo_log ORDER BY 1"
    )
    assert recorded == [("0001_a", git(clone.path, "rev-parse", "HEAD")), ("0002_b", "uncommitted")]


def test_a_local_record_does_not_name_a_commit_that_lacks_the_file(clone: FolderBuilder) -> None:
    _untracked(clone)
    author = author_on_local(clone.read(), GIT)
    commits = {file.id: author.commit_of(file) for file in clone.read().files}
    head = git(clone.path, "rev-parse", "HEAD")
    assert commits == {"0001_a": head, "0002_b": head, "0003_c": "uncommitted"}


def test_ends_of_lines_and_filters_of_git_make_no_difference(clone: FolderBuilder) -> None:
    (clone.path / ".gitattributes").write_text("0004* text eol=crlf\n0005* ident\n")
    clone.write("0003_c", b"SELECT 1;\r\nSELECT 3;\r\n").write("0004_d", b"SELECT 4;\r\n")
    clone.write("0005_e", "-- $Id$\nSELECT 5;\n")
    git(clone.path, "add", ".")
    git(clone.path, "commit", "--quiet", "--message=more")
    (clone.path / "0005_e.sql").unlink()
    git(clone.path, "checkout", "--", ".")
    assert b"$Id: " in (clone.path / "0005_e.sql").read_bytes()
    assert asked(clone).uncommitted == frozenset()


def test_the_repository_is_that_of_the_folder_whatever_a_hook_has_set(
    clone: FolderBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    git(tmp_path, "init", "--quiet", str(other))
    git(other, "commit", "--quiet", "--allow-empty", "--message=other")
    led = {**GIT, "GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other), "GIT_INDEX_FILE": str(other / "index")}
    assert asked(clone, led).commit == git(clone.path, "rev-parse", "HEAD")
    for name, value in led.items():
        monkeypatch.setenv(name, value)
    assert set(read_base(clone.path, "HEAD").tip) == {"0001_a.sql", "0001_a.rollback.sql", "0002_b.sql"}


def test_check_says_too_that_the_checkout_is_another_users(
    clone: FolderBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**GIT, "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="belongs to another user"):
        read_base(clone.path, "HEAD")


def test_worktrees_and_shallow_clones_are_checkouts_too(clone: FolderBuilder, tmp_path: Path) -> None:
    head = git(clone.path, "rev-parse", "HEAD")
    git(clone.path, "worktree", "add", "--quiet", str(tmp_path / "tree"))
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{clone.path.parent}", str(tmp_path / "shallow"))
    for place in ("tree", "shallow"):
        folder = read_folder(tmp_path / place / clone.path.name)
        assert author_of_committed(folder, GIT).commit == head


def _no_repository(clone: FolderBuilder) -> dict[str, str]:
    shutil.rmtree(clone.path.parent / ".git")
    return GIT


def _no_commit(clone: FolderBuilder) -> dict[str, str]:
    _no_repository(clone)
    git(clone.path.parent, "init", "--quiet")
    return GIT


def _no_git(_: FolderBuilder) -> dict[str, str]:
    return {**GIT, "PATH": ""}


def _not_trusted(_: FolderBuilder) -> dict[str, str]:
    # what git's own tests do to have a checkout of another user's
    return {**GIT, "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_no_repository, "it is in no git checkout"),
        (_no_commit, "nothing is committed yet"),
        (_no_git, "there is no git on PATH"),
        (_not_trusted, "the checkout belongs to another user"),
    ],
)
def test_where_git_cannot_tell_the_refusal_says_why_and_the_record_says_uncommitted(
    clone: FolderBuilder, change: Callable[[FolderBuilder], dict[str, str]], why: str
) -> None:
    environ = change(clone)
    with pytest.raises(Refused, match=why) as caught:
        asked(clone, environ)
    assert caught.value.exit_code == 3
    assert "--uncommitted" in caught.value.remedy
    author = asked(clone, environ, uncommitted=True)
    assert {author.commit_of(file) for file in clone.read().files} == {"uncommitted"}
