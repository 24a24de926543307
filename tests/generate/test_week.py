"""A team's week: two clones and a bare origin, a production, and the commands of the pages as people type them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.databases import PRODUCT as TESTS_OWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer

ROOT = Path(__file__).parents[2]
# What the pipeline works on, without what follows it: keeping Prisma's schema would install Prisma into each clone.
PRODUCT = ("tasks.py", "schema.sql", "migrations", ".gitignore")
INV = f"{sys.executable} -m verbs"  # what ./inv runs


@dataclass
class Clone:
    """A developer's clone, with a local database of its own."""

    path: Path
    local: DatabaseURL
    production: DatabaseURL
    said: str = field(default="", init=False)

    def run(self, *lines: str, code: int = 0) -> str:
        """Run shell lines as a person does, and give what the last one said, which ends with `code`.

        `--env prod` is production, the rest is local.
        """
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PG", "GITHUB_", "GIT_"))
        }
        for line in lines:
            url = self.production if "--env prod" in line else self.local
            done = subprocess.run(
                ["sh", "-ec", line.replace("./inv", INV)],
                cwd=self.path,
                env={**environment, "PYTHONPATH": str(ROOT), "DATABASE_URL": url.reveal(), "GIT_EDITOR": "true"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=180,
                check=False,
            )
            self.said = done.stdout + done.stderr
            assert done.returncode == (code if line == lines[-1] else 0), f"{line}\n{self.said}"
        return self.said

    def edit_schema(self, old: str, new: str) -> None:
        """Replace a part of schema.sql."""
        file = self.path / "schema.sql"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    def ids(self) -> list[str]:
        """The migrations that stand here, apart from those that the product came with."""
        own = {path.name for path in (TESTS_OWN / "migrations").iterdir()}
        names = (path.name for path in (self.path / "migrations").glob("*.sql") if path.name not in own)
        return sorted(name.removesuffix(".sql") for name in names if not name.endswith(".rollback.sql"))


@dataclass(frozen=True)
class Team:
    """Two clones of one origin whose main branch is deployed to production, as release/1."""

    first: Clone
    second: Clone


@pytest.fixture
def team(tmp_path: Path, server: PostgresServer, differ: Path) -> Iterator[Team]:
    databases = [server.create_database() for _ in range(3)]
    origin, seed = tmp_path / "origin.git", tmp_path / "seed"
    seed.mkdir()
    for name in PRODUCT:
        (seed / name).parent.mkdir(exist_ok=True)
        source = ROOT / name if (ROOT / name).is_file() and not (TESTS_OWN / name).exists() else TESTS_OWN / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, seed / name)
    begin = ("init -q -b main", "add -A", "commit -qm product", f"clone -q --bare . {origin}")
    for arguments in begin:
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *arguments.split()], cwd=seed, check=True)
    clones = []
    for name, url in zip(("first", "second"), databases[1:], strict=True):
        subprocess.run(["git", "clone", "-q", origin, tmp_path / name], check=True)
        clone = Clone(tmp_path / name, url, databases[0])
        clone.run("git config user.name A", f"git config user.email {name}@example.org")
        (clone.path / ".local").mkdir()
        (clone.path / ".local" / "differ").symlink_to(differ)
        clones.append(clone)
    first, second = clones
    first.run("git push -q origin main:release/1", "./inv deploy --env prod", "git fetch -q", "./inv migrate")
    second.run("git fetch -q", "./inv migrate")
    yield Team(first, second)
    for url in databases:
        server.drop_database(url)


def blocks(page: str) -> list[str]:
    """The indented lines of a page that are commands."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"^    (\S.*)$", text, re.MULTILINE)


def add_a_column(clone: Clone, table: str, column: str) -> None:
    """Add a nullable column to a table of schema.sql, as its first one."""
    clone.edit_schema(f'CREATE TABLE "{table}" (\n', f'CREATE TABLE "{table}" (\n    "{column}" text,\n')


def write_by_hand(clone: Clone, id_: str, table: str) -> None:
    """Write a migration that adds a column, and the column in schema.sql."""
    add_a_column(clone, table, "note")
    files = clone.path / "migrations"
    (files / f"{id_}.sql").write_text(f'-- A note\n\nALTER TABLE "{table}" ADD COLUMN note text;\n')
    (files / f"{id_}.rollback.sql").write_text(f'-- Undo: a note\n\nALTER TABLE "{table}" DROP COLUMN note;\n')


def test_the_page_about_hotfixes_works_line_by_line(team: Team) -> None:
    first, second = team.first, team.second
    add_a_column(second, "Thread", "topic")
    second.run("./inv migrate --name thread_topic", "git add -A", "git commit -qm topic", "git push -q origin main")
    first.run("git pull -q", "./inv migrate")
    lines = blocks("a-hotfix.md")
    assert len(lines) >= 18, "the page shows the release's branch and main"

    first.run(*lines)

    assert second.run("git pull -q", "./inv migrate").count("0006a_message_model") == 1
    assert first.ids() == second.ids() == ["0006a_message_model", "0007_thread_topic"]
    assert "up to date" in first.run("./inv status --env prod")
    plain, late = (first.run(f"./inv status --env {name}") for name in ("prod", "local"))
    assert "0006a_message_model" in plain
    assert "0006a_message_model" in late


def test_a_week_of_two_developers(team: Team) -> None:
    first, second = team.first, team.second

    # Monday: both take 0007. The first is merged as a squash; the second is told of every clash, and renumbers in one go.
    first.run("git switch -qc topic")
    write_by_hand(first, "0007_thread_note", "Thread")
    first.run("./inv migrate", "git add -A", "git commit -qm topic")
    first.run("git switch -q main", "git merge -q --squash topic", "git commit -qm topic", "git push -q origin main")
    second.run("git switch -qc note")
    write_by_hand(second, "0007_message_note", "Message")
    write_by_hand(second, "0008_user_note", "User")
    second.run("./inv migrate", "git add -A", "git commit -qm note", "git fetch -q", "git rebase -q origin/main")
    refused = second.run("./inv check --base origin/main", code=4)
    assert "number 0007 is taken by 0007_thread_note on origin/main" in refused
    said = second.run("./inv renumber")
    for old, new in (("0007_message_note", "0008_message_note"), ("0008_user_note", "0009_user_note")):
        assert f"{old} is {new} now, with its rollback file" in said
        assert f"in the local history, {old} is {new} now" in said
    second.run("./inv switch --yes", "./inv check --base origin/main", "git add -A", "git commit -qm numbers")
    second.run("git switch -q main", "git pull -q", "git merge -q note", "git push -q origin main")

    # Tuesday: a merged migration is taken back with git, which CI refuses.
    topic = second.run("git log -1 --format=%h -- migrations/0007_thread_note.sql").strip()
    second.run("git switch -qc take-back", f"git revert --no-edit {topic}")
    assert "it is on origin/main and was removed here" in second.run("./inv check --base origin/main", code=4)
    second.run("git switch -q main")

    # Wednesday: a branch is left and taken up again, and the database follows.
    first.run("git pull -q", "./inv migrate", "git switch -qc aside")
    write_by_hand(first, "0010_account_note", "Account")
    first.run("./inv migrate", "git add -A", "git commit -qm aside", "git switch -q main")
    assert "1 migration of branch aside (commit " in first.run("./inv migrate", code=4)
    assert "1 migration undone: 0010_account_note" in first.run("./inv switch --yes")
    assert "1 migration undone: 0010_account_note" in first.run(*blocks("switching-branches.md"))

    # Thursday: production, which is at 0006, needs an index.
    second.run("git switch -qc fix origin/release/1", "./inv switch --yes")
    statement = 'CREATE INDEX "Message_model_idx" ON "Message" ("model");'
    with (second.path / "schema.sql").open("a") as schema:
        schema.write(f"{statement}\n")
    outside = "-- transactional: false\n\n"
    files = second.path / "migrations"
    (files / "0010_model.sql").write_text(f"-- By model\n{outside}{statement.replace('INDEX', 'INDEX CONCURRENTLY')}\n")
    (files / "0010_model.rollback.sql").write_text(f'-- Undo\n{outside}DROP INDEX CONCURRENTLY "Message_model_idx";\n')
    assert "a letter" in second.run("./inv check --base origin/release/1", code=4)
    assert "0010_model is 0006a_model now" in second.run("./inv renumber --base origin/release/1")
    second.run("git add -A", "git commit -qm model", "./inv check --base origin/release/1")
    second.run("git push -q origin fix:release/1", "./inv deploy --env prod")
    refused = first.run("git fetch -q", "./inv deploy --env prod", code=4)
    assert "docs/a-hotfix.md" in refused

    # Friday: main takes it over, and goes to production.
    first.run("git merge -q --no-edit origin/release/1", "./inv check --base origin/main", "./inv migrate")
    first.run("git push -q origin main")
    assert "3 migrations applied, 7 already there" in first.run("./inv deploy --env prod")
    second.run("git switch -q main", "git pull -q", "./inv switch --yes")
    assert first.ids() == second.ids() == ["0006a_model", "0007_thread_note", "0008_message_note", "0009_user_note"]
    for clone in (first, second):
        assert "10 applied, 0 pending: up to date" in clone.run("./inv status --env local")
