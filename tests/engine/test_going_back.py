"""After production went back in place Pulumi has nothing to do: not on prod, and not on dev, whose branch has another parent."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.support.databases import PRODUCT

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbclient.url import DatabaseURL
    from tests.engine.workspace import Workspace

    Query = Callable[[DatabaseURL, str], list[tuple[object, ...]]]

BAD = "-- lose threads\nDELETE FROM \"Thread\" WHERE model = 'kept';\n"
COUNT = 'SELECT count(*) FROM "Thread"'


def _inv(workspace: Workspace, *arguments: str) -> str:
    done = workspace.inv(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_pulumi_stays_calm_after_production_went_back(both: Workspace, query: Query) -> None:
    shutil.copytree(PRODUCT / "migrations", both.folder / "migrations")
    for stack in ("dev", "prod"):
        _inv(both, "deploy", "--env", stack)
    query(both.url("prod"), "INSERT INTO \"Thread\" (model) SELECT 'kept' FROM generate_series(1, 5)")
    (both.folder / "migrations" / "0007_lose.sql").write_text(BAD)
    (both.folder / "migrations" / "0007_lose.rollback.sql").write_text("SELECT 1;\n")
    _inv(both, "deploy", "--env", "prod", "--without-rehearsal", "a way back is tried")
    assert query(both.url("prod"), COUNT) == [(0,)]
    before = {stack: both.outputs(stack) for stack in ("prod", "dev")}

    both.set("prod", serverPasswordVersion="2")  # rotated and deployed: the past has the first one
    both.up("prod")
    old, new = before["prod"]["server_database_url"], both.outputs("prod")["server_database_url"]
    assert old != new
    _inv(both, "deploy", "--env", "prod")

    said = _inv(both, "restore", "--env", "prod", "--before", "7", "--in-place", "--confirm", "prod", "--with-writers")
    assert "The old state is kept as kept/prod-undone-0007-at-" in said
    assert query(both.url("prod"), COUNT) == [(5,)]
    query(both.url("prod", "server_database_url"), COUNT)
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        query(both.url("prod").parse(old), COUNT)

    project = both.outputs("prod")["project_id"]
    branches = {branch.name: branch for branch in both.neon.branches(project)}
    kept = next(branch for name, branch in branches.items() if name.startswith("kept/"))
    assert branches["dev"].parent_id == kept.id, "its parent is another one now"
    for stack in ("prod", "dev"):
        both.pulumi("preview", "--refresh", "--expect-no-changes", "--stack", stack)
        both.up(stack, "--refresh", "--expect-no-changes")
        assert both.outputs(stack)["branch_id"] == before[stack]["branch_id"]
        assert both.outputs(stack)["database_url"] == before[stack]["database_url"]

    refused = both.inv("deploy", "--env", "prod")
    assert (refused.returncode, "0007_lose.sql: it is held" in refused.stderr) == (4, True), refused.stderr
    assert query(both.url("dev"), COUNT) == [(0,)]
