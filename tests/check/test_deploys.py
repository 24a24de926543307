"""Which files are deployed together, from a real checkout of git."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from pipeline.check.deploys import deploys

if TYPE_CHECKING:
    from pathlib import Path


class Repository:
    def __init__(self, root: Path) -> None:
        self.folder = root / "migrations"
        self.folder.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> None:
        names = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *names, *arguments], cwd=self.folder.parent, check=True, capture_output=True)

    def add(self, *ids: str, commit: bool = True) -> None:
        for each in ids:
            (self.folder / f"{each}.sql").write_text("SELECT 1;")
            (self.folder / f"{each}.rollback.sql").write_text("SELECT 1;")
        if commit:
            self.git("add", "-A")
            self.git("commit", "-q", "-m", "more")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_files_of_a_merge_came_together_and_those_of_a_branch_are_pending(repository: Repository) -> None:
    repository.add("0001_a", "0002_b")
    repository.git("checkout", "-q", "-b", "merged")
    repository.add("0003_c")
    repository.add("0004_d")
    repository.git("checkout", "-q", "main")
    repository.git("merge", "-q", "--no-ff", "-m", "merge", "merged")
    repository.git("checkout", "-q", "-b", "mine")
    repository.add("0005_e")
    repository.add("0006_f", commit=False)
    found = deploys(repository.folder, None)
    assert found["0001_a"] == found["0002_b"] != found["0003_c"] == found["0004_d"]
    assert found["0005_e"] == found["0006_f"] == "pending"
    assert deploys(repository.folder, "main") == found


def test_without_git_each_file_came_alone(tmp_path: Path) -> None:
    assert deploys(tmp_path, None) == {}
