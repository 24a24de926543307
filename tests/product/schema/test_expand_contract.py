"""The worked example of docs/expand-contract.md: made by the verb as it stands there, and run with both releases at work."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from pipeline.check.checking import check
from pipeline.deploy import apply
from pipeline.deploy.rolling_back import rollback
from pipeline.generate import Workbench
from pipeline.generate.expanding.contract import contract
from pipeline.generate.expanding.expand import expand
from pipeline.generate.expanding.requests import rename_request
from pipeline.lint import lint
from pipeline.lint.source import read_sources
from pipeline.migrations import read_folder
from pipeline.schema.catalog import read_catalog
from tests.support.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbclient.url import DatabaseURL
    from tests.support.server import PostgresServer

ROOT = Path(__file__).parents[3]
_FILE = re.compile(r"`migrations/(?P<name>\S+\.sql)`\n\n```sql\n(?P<text>.*?)```", re.DOTALL)

OLD = 'INSERT INTO "Message" ("threadId", "role", "content", "name") VALUES (%s, %s, %s, %s) RETURNING "id"'
NEW = 'INSERT INTO "Message" ("threadId", "role", "content", "toolName") VALUES (%s, %s, %s, %s) RETURNING "id"'


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The repository's migrations, and the page's behind them."""
    folder = tmp_path / "example"
    shutil.copytree(ROOT / "migrations", folder)
    page = (ROOT / "docs" / "expand-contract.md").read_text(encoding="utf-8")
    for found in _FILE.finditer(page):
        (folder / found["name"]).write_text(found["text"], encoding="utf-8")
    return folder


@pytest.fixture
def service(server: PostgresServer, database: DatabaseURL) -> Callable[..., Any]:
    """A statement of a service, run as its role; the first value of its first row."""

    def run(role: str, statement: str, *values: object) -> Any:
        with psycopg.connect(server.as_superuser(database).reveal()) as connection:
            connection.execute(f"SET SESSION AUTHORIZATION {role}")
            row = connection.execute(statement, values).fetchone()
        return row[0] if row else None

    return run


def test_the_example_is_what_the_verb_writes(example: Path, migrated: DatabaseURL, tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "migrations", root / "migrations")
    shutil.copy(ROOT / "schema.sql", root)
    workbench = Workbench(root, migrated)
    expand("message_tool_name", workbench, rename_request(["Message.name=toolName"]))
    contract("message_name_goes", workbench, "Message", "name")
    made = {path.name: path.read_text(encoding="utf-8") for path in (root / "migrations").iterdir()}
    assert {name: text for name, text in made.items() if name >= "0007"} == {
        path.name: path.read_text(encoding="utf-8") for path in example.glob("000[789]*.sql")
    }
    text = (ROOT / "schema.sql").read_text(encoding="utf-8")
    assert (root / "schema.sql").read_text(encoding="utf-8") == text.replace(
        '    "name"       text,\n', '    "toolName"   text,\n'
    )


def _apply(database: DatabaseURL, folder: Path, through: str) -> None:
    whole = read_folder(folder)
    apply(database, type(whole)(whole.path, tuple(file for file in whole.files if file.id[:4] <= through)))


def test_both_releases_of_a_service_work_at_every_step(
    database: DatabaseURL, example: Path, service: Callable[..., Any]
) -> None:
    _apply(database, example, "0006")
    thread = service("server", 'INSERT INTO "Thread" DEFAULT VALUES RETURNING "id"')
    ancient = service("server", OLD, thread, "tool", "", "ancient")

    _apply(database, example, "0007")
    by_old = service("server", OLD, thread, "tool", "", "by old")
    by_new = service("ai_service", NEW, thread, "tool", "", "by new")
    nameless = service("ai_service", OLD, thread, "human", "", None)
    renamed_by_old = service("server", OLD, thread, "tool", "", "x")
    service("server", """UPDATE "Message" SET "name" = 'old update' WHERE "id" = %s RETURNING 1""", renamed_by_old)
    renamed_by_new = service("server", OLD, thread, "tool", "", "x")
    service("server", """UPDATE "Message" SET "toolName" = 'new update' WHERE "id" = %s RETURNING 1""", renamed_by_new)

    _apply(database, example, "0008")
    expected = {
        ancient: "ancient",
        by_old: "by old",
        by_new: "by new",
        nameless: None,
        renamed_by_old: "old update",
        renamed_by_new: "new update",
    }
    for id_, name in expected.items():
        assert service("server", 'SELECT "name" FROM "Message" WHERE "id" = %s', id_) == name
        assert service("ai_service", 'SELECT "toolName" FROM "Message" WHERE "id" = %s', id_) == name

    _apply(database, example, "0009")
    for id_, name in expected.items():
        assert service("ai_service", 'SELECT "toolName" FROM "Message" WHERE "id" = %s', id_) == name
    service("server", NEW, thread, "tool", "", "after")


def test_every_step_can_be_undone_on_a_laptop(database: DatabaseURL, example: Path) -> None:
    folder = read_folder(example)
    catalogs = {}
    for through in ("0006", "0007", "0008", "0009"):
        _apply(database, example, through)
        with psycopg.connect(database.reveal()) as connection:
            catalogs[through] = read_catalog(connection)

    for through in ("0008", "0007", "0006"):
        rollback(database, folder, to=through)
        with psycopg.connect(database.reveal()) as connection:
            assert read_catalog(connection).differences(catalogs[through]) == []


def test_the_example_passes_the_linter(example: Path) -> None:
    assert lint(read_sources(read_folder(example).files)) == []


def test_a_column_does_not_go_while_a_committed_catalogue_names_it(migrated: DatabaseURL, tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    for folder in ("migrations", "queries"):
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy(ROOT / "schema.sql", root)
    workbench = Workbench(root, migrated)
    expand("message_tool_name", workbench, rename_request(["Message.name=toolName"]))
    assert check(workbench).findings == ()
    repository = Repository(root)
    repository.git("init", "-q", "-b", "main")
    repository.commit()

    contract("message_name_goes", workbench, "Message", "name")
    findings = check(workbench, base="main").findings
    assert {(each.rule, each.path) for each in findings} == {
        ("catalogue", "queries/ai_service.sql"),
        ("catalogue", "queries/server.sql"),
    }
    assert all("42703 undefined_column" in each.message for each in findings)

    for file in (root / "queries").iterdir():  # services of this commit that do not name it; those of the base do
        lines = file.read_text(encoding="utf-8").splitlines()
        moved = [line if '"User"' in line else line.replace('"name"', '"toolName"') for line in lines]
        file.write_text("\n".join(moved), encoding="utf-8")
    (finding,) = check(workbench, base="main").findings
    assert finding.rule == "contraction"
    assert finding.path.endswith("migrations/0009_message_name_goes.sql")
    assert "services of main still name what goes: ai_service: " in finding.message
