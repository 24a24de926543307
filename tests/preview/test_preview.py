"""`./inv preview` by its documented lines, on a project of the emulator."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from services import SERVICES
from tests.preview.clone import ROOT, Clone, variables_of

if TYPE_CHECKING:
    from tests.support.neon_cli import NeonCli

PINNED = 'ALTER TABLE "Message" ADD COLUMN pinned boolean NOT NULL DEFAULT false;'
ROLES = sorted(service.role for service in SERVICES)


def test_a_preview_is_a_copy_of_dev_with_the_pending_migrations_and_passwords_of_its_own(
    team: Clone, neon_cli: NeonCli
) -> None:
    team.write(PINNED)
    told = team.ok("preview", "--name", "pr-12", "--show")
    branch = team.branch("preview/pr-12")
    assert branch["parent_id"] == team.dev["branch"]["id"]
    left = datetime.fromisoformat(branch["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=71) < left <= timedelta(hours=72)
    assert told.startswith(f"preview/pr-12 ({branch['id']}): a copy of dev, with its rows, until ")
    assert "-- line 1: ACCESS EXCLUSIVE" in told
    assert "1 migration applied, 6 already there" in told
    assert "LOGIN and password set for ai_service, server" in told
    assert f"/projects/{team.project_id}/branches/{branch['id']}" in told

    for url in variables_of(told):
        dsn = url.partition("?")[0]
        [(user, at)] = team.run(dsn, "SELECT current_user, current_setting('neon.branch_id')")
        assert (user in ROLES, at) == (True, branch["id"])
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            psycopg.connect(dsn, password=f"of-dev-{user}", connect_timeout=20)
    own = team.owner_url(branch)
    assert team.run(own, 'SELECT (SELECT name FROM "User"), count(pinned) FROM "Message"') == [("canary", 0)]
    assert own.password != team.dev_url.password
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(own.copy_with(password=team.dev_url.password).reveal(), connect_timeout=20)
    assert team.run(own, "SELECT environment, branch_id FROM migration_history.environment_marker") == [
        ("preview/pr-12", branch["id"])
    ]
    refused = team.verb("deploy", "--env", "dev", DATABASE_URL=own.reveal())
    assert (refused.returncode, "says that it is preview/pr-12" in refused.stderr) == (3, True), refused.stderr
    names = {each["name"] for each in neon_cli.ok("branches", "list", "--project-id", team.project_id)}
    assert names == {"main", "dev", "preview/pr-12"}
    assert team.run(team.dev_url, "SELECT environment FROM migration_history.environment_marker") == [("dev",)]


def test_the_next_push_takes_the_same_branch_back_to_its_parent(team: Clone) -> None:
    team.write("CREATE TABLE first_try (id int);")
    team.ok("preview", "--name", "pr-12")
    before = team.branch("preview/pr-12")
    host = team.owner_url(before).host
    team.run(team.owner_url(before), "INSERT INTO \"User\" (id) VALUES ('mine')")
    team.run(team.dev_url, "INSERT INTO \"User\" (id) VALUES ('since')")
    team.forget()
    team.write(PINNED)
    document = json.loads(team.ok("preview", "--name", "pr-12", "--expires-hours", "5", "--json"))
    after = team.branch("preview/pr-12")
    assert (after["id"], team.owner_url(after).host, document["state"]) == (before["id"], host, "renewed")
    left = datetime.fromisoformat(after["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=4, minutes=55) < left <= timedelta(hours=5)
    assert sorted(team.run(team.owner_url(after), 'SELECT id FROM "User"')) == [("since",), ("u1",)]
    assert team.run(team.owner_url(after), "SELECT to_regclass('first_try'), count(pinned) FROM \"Message\"") == [
        (None, 0)
    ]
    assert [each["id"] for each in document["applied"]] == ["0900_pending"]
    assert [(each["name"], each["database_url"]) for each in document["services"]] == [
        (service.name, None) for service in SERVICES
    ]
    team.run(team.dev_url, "DELETE FROM \"User\" WHERE id = 'since'")


def test_down_deletes_it_and_a_second_time_there_is_nothing_to_do(team: Clone) -> None:
    team.ok("preview", "--name", "pr-12")
    assert team.ok("preview", "--name", "pr-12", "--down") == "preview/pr-12 is deleted\n"
    assert team.names() == ["dev", "main"]
    assert team.ok("preview", "--name", "pr-12", "--down") == "there is no preview/pr-12: nothing to do\n"
    assert json.loads(team.ok("preview", "--name", "pr-12", "--down", "--json"))["state"] == "absent"


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("given", [{}, {"init_source": "schema-only"}])
def test_a_branch_of_that_name_that_nobody_lets_expire_is_refused(
    team: Clone, given: dict[str, str], down: bool
) -> None:
    theirs = team.emulator.create_branch(team.project, name="preview/pr-12", **given)
    done = team.verb("preview", "--name", "pr-12", *(["--down"] if down else []))
    assert done.returncode == 3
    assert f"the branch preview/pr-12 ({theirs['branch']['id']}) is there, and `preview` did not make it" in done.stderr
    assert team.branch("preview/pr-12")["id"] == theirs["branch"]["id"]


@pytest.mark.parametrize(
    "words",
    [
        ["--name", "PR 12"],
        ["--name", "../pr"],
        ["--name", "a/b"],
        ["--name", "x" * 64],
        ["--name", "pr-1", "--expires-hours", "721"],
        ["--name", "pr-1", "--expires-hours", "0"],
        ["--name", "pr-1", "--from", "local"],
        ["--name", "prod"],
        ["--name", "pr-1", "--down", "--with-data"],
        [],
    ],
)
def test_what_neon_would_not_take_is_refused_before_anything_is_asked(team: Clone, words: list[str]) -> None:
    done = team.verb("preview", *words, NEON_API_KEY="")
    assert done.returncode == 2, done.stderr
    assert "NEON_API_KEY" not in done.stderr


def test_production_gives_its_schema_and_its_history_and_not_one_row(team: Clone) -> None:
    team.write(PINNED)
    told = team.ok("preview", "--name", "pr-13", "--from", "prod", "--show")
    branch = team.branch("preview/pr-13")
    assert "a copy of prod, its schema without a row, until" in told
    assert "1 migration applied, 6 already there" in told
    own = team.owner_url(branch)
    assert team.run(own, 'SELECT (SELECT count(*) FROM "User"), count(pinned) FROM "Message"') == [(0, 0)]
    assert team.run(own, "SELECT role_name, branch_id FROM migration_history.role_password ORDER BY 1") == [
        (role, branch["id"]) for role in ROLES
    ]
    log = "SELECT migration_id, operation, comment FROM migration_history._yoyo_log WHERE migration_id < '0900' ORDER BY 1"
    assert team.run(own, log) == team.run(team.url, log) != []
    assert {team.run(url.partition("?")[0], "SELECT current_user")[0][0] for url in variables_of(told)} == set(ROLES)
    assert team.names() == ["dev", "main", "preview/pr-13"]
    again = team.ok("preview", "--name", "pr-13", "--from", "prod")
    assert "1 migration applied, 6 already there" in again
    assert team.names() == ["dev", "main", "preview/pr-13"]


def test_productions_rows_come_where_somebody_says_so_and_go_when_nobody_does(team: Clone) -> None:
    assert "with its rows" in team.ok("preview", "--name", "pr-14", "--from", "prod", "--with-data")
    branch = team.branch("preview/pr-14")
    assert team.run(team.owner_url(branch), 'SELECT id FROM "User"') == [("u1",)]
    team.ok("preview", "--name", "pr-14", "--from", "prod")
    branch = team.branch("preview/pr-14")
    assert team.run(team.owner_url(branch), 'SELECT id FROM "User"') == []
    team.ok("preview", "--name", "pr-14")
    assert team.branch("preview/pr-14")["parent_id"] == team.dev["branch"]["id"]


def test_a_dev_that_nobody_deployed_to_since_it_was_cut_has_productions_rows(team: Clone) -> None:
    mark = "UPDATE migration_history.environment_marker SET environment = '{}'"
    team.run(team.dev_url, mark.format("prod"))
    try:
        done = team.verb("preview", "--name", "pr-16")
        assert done.returncode == 3, done.stderr
        assert "dev has production's rows" in done.stderr
        assert team.names() == ["dev", "main"]
        team.ok("preview", "--name", "pr-16", "--with-data")
    finally:
        team.run(team.dev_url, mark.format("dev"))


def test_a_migration_that_fails_leaves_the_branch_to_be_looked_at_and_is_a_comment(team: Clone) -> None:
    team.write("CREATE TABLE good (id int);", "SELECT 1 / 0;")
    summary = team.path / "comment.md"
    done = team.verb("preview", "--name", "pr-15", "--summary", str(summary))
    assert done.returncode == 5
    assert "division by zero" in done.stderr
    text = summary.read_text()
    summary.unlink()
    assert text.startswith("<!-- db-pipeline: preview of pr-15 -->\n### Preview pr-15: failed\n")
    assert "migrations/0901_pending.sql" in text
    assert "| `0900_pending` |" in text
    assert team.branch("preview/pr-15")["id"] in text
    assert team.run(team.owner_url(team.branch("preview/pr-15")), "SELECT to_regclass('good')::text") == [("good",)]


def test_the_lines_of_the_page_run_as_they_stand_there(team: Clone) -> None:
    page = (ROOT / "docs" / "previews.md").read_text()
    commands = re.findall(r"^    ./inv (.*)$", page, re.MULTILINE)
    assert len(commands) >= 2
    for command in commands:
        team.ok(*shlex.split(command))
    assert team.names() == ["dev", "main", "preview/pr-12"]
