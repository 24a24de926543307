"""`invoke deploy --env dev` and `--env prod` through what the stacks publish, then services on what was deployed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from dbclient.url import DatabaseURL
    from tests.engine.workspace import Workspace

    Query = Callable[[DatabaseURL, str], list[tuple[object, ...]]]

RUNTIME = ["server_database_url", "ai_service_database_url"]


@pytest.fixture(scope="module")
def deployed(shared: Workspace) -> Workspace:
    """Both environments, made and deployed."""
    for stack in ("dev", "prod"):
        shared.outputs(stack)  # so that the workspace knows which secrets must not be printed
        _done(shared.inv("deploy", "--env", stack))
    return shared


def _done(answer: subprocess.CompletedProcess[str]) -> str:
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout + answer.stderr


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_second_deploy_has_nothing_to_do(deployed: Workspace, stack: str, query: Query) -> None:
    sql = "SELECT count(*) FROM migration_history._yoyo_log"
    before = query(deployed.url(stack), sql)
    _done(deployed.inv("deploy", "--env", stack))
    assert query(deployed.url(stack), sql) == before


@pytest.mark.parametrize("stack", ["dev", "prod"])
@pytest.mark.parametrize("name", RUNTIME)
def test_the_runtime_roles_log_in_through_the_pooler_read_and_write_and_make_no_tables(
    deployed: Workspace, stack: str, name: str, query: Query
) -> None:
    url = deployed.url(stack, name)
    [(branch, role)] = query(url, "SELECT current_setting('neon.branch_id'), current_user")
    assert branch == deployed.outputs(stack)["branch_id"]
    assert role == url.user
    assert query(url, 'INSERT INTO "Thread" DEFAULT VALUES RETURNING id')
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query(url, "CREATE TABLE theirs (n int)")


@pytest.mark.parametrize(("mine", "theirs"), [("prod", "dev"), ("dev", "prod")])
@pytest.mark.parametrize("name", RUNTIME)
def test_a_service_of_one_environment_cannot_log_in_to_the_other(
    deployed: Workspace, mine: str, theirs: str, name: str, query: Query
) -> None:
    stolen = deployed.url(theirs, name).copy_with(password=deployed.url(mine, name).password)
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        query(stolen, "SELECT 1")


@pytest.mark.parametrize(("here", "there"), [("prod", "dev"), ("dev", "prod")])
def test_threads_of_one_environment_do_not_show_in_the_other(
    deployed: Workspace, here: str, there: str, query: Query
) -> None:
    [(thread,)] = query(deployed.url(here), 'INSERT INTO "Thread" DEFAULT VALUES RETURNING id')
    assert query(deployed.url(there), f"SELECT 1 FROM \"Thread\" WHERE id = '{thread}'") == []


def test_prods_url_given_to_a_deploy_of_dev_is_refused(deployed: Workspace, query: Query) -> None:
    sql = "SELECT environment, branch_id FROM migration_history.environment_marker"
    before = query(deployed.url("prod"), sql)
    refused = deployed.inv("deploy", "--env", "dev", DATABASE_URL=deployed.url("prod").reveal())
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert query(deployed.url("prod"), sql) == before


def test_a_rotated_runtime_password_is_told_and_in_force_after_the_next_deploy(
    deployed: Workspace, query: Query
) -> None:
    old = deployed.url("dev", "server_database_url")
    other = deployed.url("dev", "ai_service_database_url")
    deployed.set("dev", serverPasswordVersion="2")
    deployed.up("dev")
    query(old, "SELECT 1")  # the database does not know yet
    new = deployed.url("dev", "server_database_url")
    assert "a deploy gives server LOGIN and the stack's password" in _done(deployed.inv("plan", "--env", "dev"))
    bare = {"DATABASE_URL": deployed.url("dev").reveal()}
    for verb in ("plan", "status", "deploy"):
        said = _done(deployed.inv(verb, "--env", "dev", **bare))
        assert "no stack was asked for the passwords of ai_service, server. After a rotation" in said, verb
        assert "`env -u DATABASE_URL ./inv deploy --env dev`" in said
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        query(new, "SELECT 1")
    assert "LOGIN and password set for server" in _done(deployed.inv("deploy", "--env", "dev"))
    query(new, "SELECT 1")
    query(other, "SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        query(old, "SELECT 1")
    assert "a deploy gives" not in _done(deployed.inv("plan", "--env", "dev"))


def test_the_branches_of_the_project_are_listed(deployed: Workspace) -> None:
    said = _done(deployed.inv("branches", "--env", "prod"))
    outputs = deployed.outputs("dev")
    assert outputs["project_id"] in said
    assert outputs["branch_id"] in said
    assert "main" in said


@pytest.mark.parametrize(
    ("service", "name"), [("server", "server_database_url"), ("ai-service", "ai_service_database_url")]
)
def test_a_service_gets_its_line_of_env(deployed: Workspace, service: str, name: str) -> None:
    url = deployed.outputs("dev")[name]
    known, deployed._secrets = deployed._secrets, set()  # this one is asked for
    try:
        said = deployed.inv("env", "--env", "dev", "--for", service)
    finally:
        deployed._secrets = known
    assert said.returncode == 0, said.stderr
    # Prisma's line also says the session's zone: by its address, the emulator's pooler is not known for one
    zone = "&options=-c%20TimeZone%3DUTC" if service == "server" else ""
    assert f'DATABASE_URL="{url}{zone}"' in said.stdout


def test_a_deploy_without_the_stack_says_what_to_do(deployed: Workspace) -> None:
    refused = deployed.inv("deploy", "--env", "nowhere")
    said = refused.stderr + refused.stdout
    assert refused.returncode == 2
    assert "the checkout has no environment nowhere" in said
    assert "there is no Pulumi stack nowhere" in said


def test_a_rehearsal_finds_the_project_by_the_stack_and_by_its_file_and_pulumi_stays_calm(prod: Workspace) -> None:
    """Not a connection string is read of the stack; with the project's id in the file, there is no need of pulumi."""
    by_stack = prod.inv("rehearse", "--env", "prod", "--json")
    assert by_stack.returncode == 0, by_stack.stderr
    outputs = prod.outputs("prod")
    prod.set("prod", projectId=outputs["project_id"])
    by_file = prod.inv("rehearse", "--env", "prod", "--json", PATH="/usr/bin:/bin")
    assert by_file.returncode == 0, by_file.stderr
    found = [json.loads(each.stdout) for each in (by_stack, by_file)]
    assert [(each["project_id"], each["branch_id"]) for each in found] == 2 * [
        (outputs["project_id"], outputs["branch_id"])
    ]
    assert set(prod.summary("prod")) == {"same"}
    assert set(prod.summary("prod", "--refresh")) == {"same"}
    assert "unchanged" in prod.up("prod", "--expect-no-changes")
    assert prod.branches(outputs["project_id"]) == ["main"]
