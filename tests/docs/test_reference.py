"""docs/reference.md says what the code does: it is made from it, and what is made from a table is compared with a run."""

from __future__ import annotations

import ast
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from dbclient.url import DatabaseURL
from pipeline.check.checking import Checked
from pipeline.console.document_types import DOCUMENTS
from pipeline.console.documents import (
    backfill_document,
    branches_document,
    check_document,
    deploy_document,
    diff_document,
    history_document,
    plan_document,
    status_document,
)
from pipeline.console.preview import preview_document
from pipeline.console.restore_document import look_document, points_document
from pipeline.deploy import View, apply
from pipeline.deploy.backfilling import Backfilled
from pipeline.deploy.checkout import Checkout
from pipeline.deploy.expanded import Expanded
from pipeline.deploy.observer import Observer
from pipeline.deploy.past import read_past
from pipeline.deploy.status import read_status
from pipeline.deploy.target import Target
from pipeline.environments import Environment
from pipeline.environments.branches import OwnedBranch, OwnedBranches
from pipeline.generate.drift import Comparison, Drift
from pipeline.history import History
from pipeline.history.backfills import Backfill
from pipeline.history.record import Author
from pipeline.history.rehearsals import Admission
from pipeline.kept_points import KeptPoint
from pipeline.leases import Lease, Purpose
from pipeline.lint.finding import about_file
from pipeline.migrations.plan import Applied
from pipeline.neon.project_branches import BranchLine
from pipeline.neon.shapes import Branch, Project
from pipeline.postgres import Identity
from pipeline.preview import Prepared, Wanted
from pipeline.restore.comparing import TableChanges
from pipeline.restore.ground import Ground
from pipeline.restore.looking import Look
from pipeline.restore.points import Point, Points
from pipeline.roles.deviations import Deviation
from services import RUNTIME_ROLES
from verbs import VERBS
from verbs.reference import described, json_schema
from verbs.reference.__main__ import PAGE, SCHEMAS, page, schemas, verb_contexts
from verbs.reference.environment_variables import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.console.document_types import Document
    from tests.support.folders import FolderBuilder

ROOT = Path(__file__).parents[2]

# Not for people to set: what every machine has, and what libpq or pip must not take from it.
GIVEN = {"PATH", "USER", "LOGNAME", "HOME"}
NOT_OURS = {
    "PGHOSTADDR",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PIP_USER",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PYTHONDONTWRITEBYTECODE",
}


def test_the_page_is_what_the_code_makes() -> None:
    assert PAGE.read_text() == page(), "run: python -m verbs.reference"


def test_the_table_of_verbs_and_the_tasks_are_the_same() -> None:
    assert set(VERBS) == set(verb_contexts())


@pytest.mark.parametrize(("name", "context"), sorted(verb_contexts().items()))
def test_every_flag_has_its_line_of_help(name: str, context: Any) -> None:
    assert [flag for flag, text in context.help_tuples() if not text] == [], name


def test_every_variable_that_the_code_reads_is_listed() -> None:
    listed = {name for each in VARIABLES for name in each.name.split(", ")}
    files = [
        path
        for folder in ("dbclient", "servers", "pipeline", "infra", "emulator", "verbs")
        for path in (ROOT / folder).rglob("*.py")
    ]
    read = {name: path for path in files for name in variables_read(path)}
    unlisted = {name: path for name, path in read.items() if name not in listed | GIVEN | NOT_OURS}
    assert unlisted == {}


def test_the_documents_have_the_fields_that_are_described(database: DatabaseURL, folder: FolderBuilder) -> None:
    folder.write("0001_first", "-- first\nCREATE TABLE t (id int);", "DROP TABLE t;")
    author = Author("somebody", "a machine", "0" * 40)
    report = apply(database, folder.read(), author=lambda: author)
    folder.write("0001_first", "-- edited\nCREATE TABLE t (id int);")
    folder.write("0002_second", "CREATE TABLE u (id int);")
    seen = read_status(database, folder.read(), target=Target(), observer=Observer())
    deviation = Deviation("server", "member of ai_service", None, "granted by somebody")
    backfills = (Backfill("0003_third", visited=2, estimated=5, worked_ms=1, why="autovacuum is on t"),)
    report = replace(report, corrected=(deviation,), backfills=backfills)
    double = (Expanded("0002_second", "Message", "name", "toolName", None, ("0003_third is 40 % done",)),)
    admissions = (Admission("0" * 64, "skipped", "local", "somebody", "why", "2026-11-27T12:00:00+00:00"),)
    seen = replace(seen, roles=(deviation,), backfills=backfills, expanded=double, admissions=admissions)

    fits(deploy_document("local", report))
    fits(
        history_document(
            "local", read_past(Checkout(Path(), Environment("local", database, "a test"), Target(), "history")), 1.0
        )
    )
    fits(plan_document("local", seen))
    fits(preview_document(previewed(), seen, report, dict.fromkeys(RUNTIME_ROLES, database)))
    fits(status_document("local", seen))
    fits(backfill_document("local", Backfilled(report.server, report.identity, backfills)))


def test_so_have_those_of_the_other_verbs() -> None:
    comparison = Comparison("a server", 4, ("0005_next",), (Drift("table", "t", "one way", "another"),))
    checked = Checked(1, 1, (about_file("migrations/0001_first.sql", "a-rule", "a message"),))
    project = Project("an-id", "a name", "aws-eu-central-1", 16, datetime(2026, 11, 23, tzinfo=UTC))
    branch = BranchLine("main", "br-1", None, timedelta(1), None, None, "ready", default=True, protected=False)

    fits(restored_document())
    fits(diff_document("local", comparison))
    fits(check_document(checked))
    owned = (OwnedBranch(branch, Purpose.LOOK), OwnedBranch(branch, stack="dev"))
    fits(branches_document(OwnedBranches(project, owned, (project,), ("look/a",))))


def previewed() -> Prepared:
    """A preview of which nothing is known but its branch."""
    instant = datetime(2026, 11, 23, tzinfo=UTC)
    branch = Branch("br-1", "an-id", "preview/pr-12", "ready", default=False, protected=False, created_at=instant)
    url = DatabaseURL.parse("postgresql://somebody@ep-a-b-1.us-east-1.aws.neon.tech/app")
    checkout = Checkout(Path(), Environment("preview/pr-12", url, "a test"), Target(), "preview")
    return Prepared(
        Wanted("pr-12", "dev", timedelta(1)), Lease(Purpose.PREVIEW, branch, url), checkout, again=False, rows=True
    )


def restored_document() -> Document:
    """One with all that any use of the verb fills in."""
    instant = datetime(2026, 11, 23, tzinfo=UTC)
    branch = Branch("br-1", "an-id", "kept/prod", "ready", default=False, protected=False, created_at=instant)
    view = View("a server", Identity("", "", "", False, False, 160014, "", "", "", ""), History())
    migration = Applied("0001_first", lsn="0/1")
    kept = KeptPoint("prod", "0001_first", instant, branch)
    listed = points_document("prod", Points(view, (Point(migration, True),), (kept,), (branch,), instant))
    project = Project("an-id", "a name", "aws-eu-central-1", 16, instant)
    seen = Look(
        Ground(view, project, branch, "owner"),
        migration,
        Lease(Purpose.LOOK, branch, None),
        False,
        (TableChanges("t"),),
    )
    return replace(listed, tables=look_document("prod", seen, show=False).tables)


def test_the_schemas_are_what_the_code_makes() -> None:
    assert {path.name: path.read_text() for path in SCHEMAS.iterdir()} == schemas(), "run: python -m verbs.reference"


def test_every_verb_with_a_document_has_it_described() -> None:
    with_json = {name for name, context in verb_contexts().items() if "--json" in context.flags}
    measurements = {"bench"}  # whose shape nobody is promised
    assert with_json - measurements == set(DOCUMENTS) - {"error"}


def fits(document: Document) -> None:
    """Compare a document with the published schema and with the lines of the reference: all of it, and nothing else."""
    kind = type(document)
    printed = json.loads(json.dumps(asdict(document)))
    jsonschema.validate(printed, json_schema(kind), cls=jsonschema.Draft202012Validator)
    assert set(fields_of(printed)) == {path for path, _ in described(kind)}


def fields_of(value: Any, prefix: str = "") -> Iterator[str]:
    """The paths of a document's fields, as `applied[].id`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{prefix}{key}"
            yield from fields_of(inner, f"{prefix}{key}.")
    elif isinstance(value, list):
        for inner in value:
            yield from fields_of(inner, f"{prefix.removesuffix('.')}[].")


def variables_read(path: Path) -> set[str]:
    """The names that a module gives to environ[…], environ.get(…) and the like, spelled out or as a constant of its own."""
    tree = ast.parse(path.read_text())
    constants = {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return {name for node in ast.walk(tree) if (name := _read_by(node, constants))}


def _read_by(node: ast.AST, constants: dict[str, str]) -> str:
    if isinstance(node, ast.Subscript) and _is_environ(node.value):
        key: ast.AST | None = node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_environ(node.func.value):
        key = node.args[0] if node.args else None
    else:
        return ""
    if isinstance(key, ast.Constant) and isinstance(key.value, str):
        return key.value
    return constants.get(key.id, "") if isinstance(key, ast.Name) else ""


def _is_environ(node: ast.AST) -> bool:
    return (isinstance(node, ast.Name) and node.id == "environ") or (
        isinstance(node, ast.Attribute) and node.attr == "environ"
    )
