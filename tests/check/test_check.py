"""CI's verb on repositories with one fault each, and on a long history."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.check.checking import check
from pipeline.errors import UsageError
from pipeline.generate import Workbench
from tests.support.databases import PRODUCT

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL

REPOSITORY = Path(__file__).parents[2]


class Repository:
    """A git repository with this one's schema and migrations on `main`, and a branch checked out."""

    def __init__(self, root: Path, local: DatabaseURL) -> None:
        self.root = root
        self.workbench = Workbench(root, local)
        self.migrations = root / "migrations"
        shutil.copytree(PRODUCT / "migrations", self.migrations)
        shutil.copy(PRODUCT / "schema.sql", root)
        (root / "docs").mkdir()
        shutil.copy(PRODUCT / "docs" / "schema.md", root / "docs")
        self.git("init", "-q", "-b", "main")
        self.commit()
        self.git("checkout", "-q", "-b", "change")

    def git(self, *arguments: str) -> None:
        identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=self.root, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a commit")

    def write(self, id_: str, forward: str, backward: str | None) -> None:
        (self.migrations / f"{id_}.sql").write_text(f"-- A change\n\n{forward}\n")
        if backward is not None:
            (self.migrations / f"{id_}.rollback.sql").write_text(f"-- Undo: a change\n\n{backward}\n")

    def append_to_schema(self, sql: str) -> None:
        path = self.root / "schema.sql"
        path.write_text(f"{path.read_text()}\n{sql}\n")

    def found(self, base: str | None = "main") -> list[tuple[str, str, int]]:
        """(rule, file, line) of what check finds."""
        findings = check(self.workbench, base=base).findings
        return [(finding.rule, Path(finding.path).name, finding.line) for finding in findings]


@pytest.fixture
def repository(tmp_path: Path, database: DatabaseURL) -> Repository:
    return Repository(tmp_path, database)


ADD = 'ALTER TABLE "Message" ADD COLUMN "pinned" boolean;'
DROP = 'ALTER TABLE "Message" DROP COLUMN "pinned";'


def test_this_repository_passes(repository: Repository) -> None:
    assert repository.found() == []
    assert repository.found(base=None) == []


def test_a_schema_ahead_of_the_migrations_is_found_at_its_line(repository: Repository) -> None:
    line = (repository.root / "schema.sql").read_text().count("\n") + 2
    repository.append_to_schema('CREATE TABLE "Tag" (id int);')
    assert ("schema", "schema.sql", line) in repository.found()


def test_a_migration_ahead_of_the_schema_is_found(repository: Repository) -> None:
    repository.write("0007_pinned", ADD, DROP)
    rules = [rule for rule, _, _ in repository.found()]
    assert "schema" in rules
    assert "diagram" in rules


def test_a_rollback_that_does_not_lead_back_is_found(repository: Repository) -> None:
    repository.write("0007_pinned", f"{ADD}\nCREATE TYPE \"Mood\" AS ENUM ('a');", DROP)
    assert ("rollback", "0007_pinned.rollback.sql", 1) in repository.found()


def test_a_rollback_that_forgets_a_grant_is_found(repository: Repository) -> None:
    repository.write("0007_grant", 'GRANT DELETE ON "ScopeConsent" TO server;', "SELECT 1;")
    assert repository.found() == [("rollback", "0007_grant.rollback.sql", 1)]


def test_what_a_wrong_rollback_takes_along_is_not_blamed_on_the_schema(repository: Repository) -> None:
    index = 'CREATE INDEX CONCURRENTLY "Message_model_idx" ON "Message" ("model");'
    repository.write("0007_index", f"-- transactional: false\n\n{index}", None)
    (repository.migrations / "0007_index.rollback.sql").write_text(
        '-- Undo: an index\n-- transactional: false\n\nDROP INDEX CONCURRENTLY "Message_threadId_createdAt_idx";\n'
    )
    repository.append_to_schema(index.replace("CONCURRENTLY ", ""))
    rules = {(rule, name) for rule, name, _ in repository.found()}
    assert ("rollback", "0007_index.rollback.sql") in rules
    assert "schema" not in {rule for rule, _ in rules}


def test_a_rollback_that_fails_is_found_at_its_line(repository: Repository) -> None:
    repository.write("0007_pinned", ADD, "SELECT 1;\nDROP TABLE nothing;")
    assert ("rollback", "0007_pinned.rollback.sql", 1) in [(rule, name, 1) for rule, name, _ in repository.found()]


def test_a_missing_rollback_is_found(repository: Repository) -> None:
    repository.write("0007_grant", 'GRANT DELETE ON "ScopeConsent" TO server;', None)
    assert repository.found() == [("missing-rollback", "0007_grant.sql", 1)]


def test_a_migration_that_fails_is_found(repository: Repository) -> None:
    repository.write("0007_pinned", f"{ADD}\nSELECT nonsense;", DROP)
    assert ("malformed", "0007_pinned.sql") in [(rule, name) for rule, name, _ in repository.found()]


def test_a_malformed_file_is_found(repository: Repository) -> None:
    repository.write("0007_pinned", "BEGIN;\nSELECT 1;\nCOMMIT;", DROP)
    (repository.migrations / "5_bad.sql").write_text("SELECT 1;")
    found = repository.found()
    assert ("malformed", "0007_pinned.sql", 3) in found
    assert ("malformed", "5_bad.sql", 1) in found


def test_a_draft_is_found(repository: Repository) -> None:
    (repository.migrations / "0007_pinned.sql").write_text(f"-- Pinned\n-- pipeline: draft\n\n{ADD}\n")
    assert ("malformed", "0007_pinned.sql", 2) in repository.found()


def test_an_edited_file_of_the_base_is_found(repository: Repository) -> None:
    path = repository.migrations / "0001_threads_and_messages.sql"
    path.write_text(path.read_text() + "\n-- a word more\n")
    assert repository.found() == [("edited", path.name, 1)]


def test_other_ends_of_lines_are_no_edit(repository: Repository) -> None:
    path = repository.migrations / "0001_threads_and_messages.sql"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert repository.found() == []


def test_a_removed_file_of_the_base_is_found(repository: Repository) -> None:
    (repository.migrations / "0003_scope_consents.rollback.sql").unlink()
    assert ("removed", "0003_scope_consents.rollback.sql", 1) in repository.found()


def test_a_number_that_the_base_took_meanwhile_is_found(repository: Repository) -> None:
    repository.write(
        "0007_mine", 'GRANT DELETE ON "ScopeConsent" TO server;', 'REVOKE DELETE ON "ScopeConsent" FROM server;'
    )
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.write(
        "0007_theirs", 'GRANT DELETE ON "ScopeConsent" TO server;', 'REVOKE DELETE ON "ScopeConsent" FROM server;'
    )
    repository.commit()
    repository.git("checkout", "-q", "change")
    assert repository.found() == [("number", "0007_mine.sql", 1)]


def test_every_clash_is_named_at_once_and_the_files_that_are_merged_are_not_blamed(repository: Repository) -> None:
    for number in (7, 8):
        repository.write(f"{number:04d}_mine", f"SELECT {number};", "SELECT 1;")
    repository.commit()
    repository.git("checkout", "-q", "main")
    for number in (7, 8):
        repository.write(f"{number:04d}_theirs", f"SELECT {number};", "SELECT 1;")
    repository.commit()
    repository.git("checkout", "-q", "change")
    repository.git("merge", "-q", "main", "-m", "main")
    assert repository.found() == [("number", "0007_mine.sql", 1), ("number", "0008_mine.sql", 1)]


def test_two_files_of_one_number_are_found(repository: Repository) -> None:
    for name in ("0007_one", "0007_two"):
        repository.write(name, "SELECT 1;", "SELECT 1;")
    assert "malformed" in [rule for rule, _, _ in repository.found()]


def test_lint_reads_new_files_and_not_those_of_the_base(repository: Repository) -> None:
    bad = 'CREATE INDEX "x" ON "Message" ("model");'
    repository.write("0007_index", bad, 'DROP INDEX "x";')
    repository.append_to_schema(bad)
    assert [rule for rule, _, _ in repository.found()] == ["require-concurrent-index-creation"]
    repository.commit()
    repository.git("branch", "-f", "main", "change")
    assert repository.found() == []
    assert [rule for rule, _, _ in repository.found(base=None)] == ["require-concurrent-index-creation"]


def test_an_old_diagram_is_found(repository: Repository) -> None:
    page = repository.root / "docs" / "schema.md"
    page.write_text(page.read_text().replace("jsonb metaJson", "jsonb other"))
    (found,) = repository.found()
    assert found[:2] == ("diagram", "schema.md")


def test_a_base_that_git_does_not_know_is_a_usage_error(repository: Repository) -> None:
    with pytest.raises(UsageError, match="no such commit"):
        repository.found(base="origin/nothing")


def test_two_hundred_migrations_are_checked_in_seconds(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each proven forward and back: tables, columns, indexes (some CONCURRENTLY), checks."""
    schema = []
    for number in range(7, 201):
        table, step = divmod(number - 7, 4)
        id_ = f"{number:04d}_step"
        if step == 0:
            key = f'CONSTRAINT "T{table}_pkey" PRIMARY KEY ("id")'
            sql = f'CREATE TABLE "T{table}" (\n    "id" uuid NOT NULL,\n    "text" text,\n    {key}\n);'
            repository.write(id_, f'{sql}\n\nGRANT SELECT ON TABLE "T{table}" TO server;', f'DROP TABLE "T{table}";')
        elif step == 1:
            sql = f'ALTER TABLE "T{table}" ADD COLUMN "n" integer NOT NULL DEFAULT 0;'
            repository.write(id_, sql, f'ALTER TABLE "T{table}" DROP COLUMN "n";')
        elif step == 2:
            sql = f'CREATE INDEX "T{table}_n_idx" ON "T{table}" ("n");'
            concurrently = sql.replace("INDEX", "INDEX CONCURRENTLY")
            (repository.migrations / f"{id_}.sql").write_text(f"-- A step\n-- transactional: false\n\n{concurrently}\n")
            (repository.migrations / f"{id_}.rollback.sql").write_text(
                f'-- Undo: a step\n-- transactional: false\n\nDROP INDEX CONCURRENTLY "T{table}_n_idx";\n'
            )
        else:
            sql = f'ALTER TABLE "T{table}" ADD CONSTRAINT "T{table}_check" CHECK ("n" >= 0) NOT VALID;'
            repository.write(id_, sql, f'ALTER TABLE "T{table}" DROP CONSTRAINT "T{table}_check";')
        schema.append(sql)
    repository.append_to_schema("\n".join(schema))
    repository.commit()
    repository.git("branch", "-f", "main", "change")
    started = time.monotonic()
    checked = check(repository.workbench, base="main")
    seconds = time.monotonic() - started
    with capsys.disabled():
        print(f"\ncheck of {checked.migrations} migrations: {seconds:.1f} s")
    assert checked.migrations == 200
    assert [finding for finding in checked.findings if finding.rule != "diagram"] == []
