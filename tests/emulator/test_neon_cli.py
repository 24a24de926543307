"""Neon's own command line takes the emulator for Neon. docs/emulator.md has the table of its commands."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.emulator.moments import server_time
from tests.emulator.urls import uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import Emulator
    from tests.support.neon_cli import NeonCli, NeonPackages

Json = dict[str, Any]
TABLES = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relname IN ('kept', 'later')"


def number(project: Json) -> tuple[str, str]:
    """The option that names a project."""
    return ("--project-id", project["project"]["id"])


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def lsn(project: Json) -> str:
    """Where the log of the default branch is, once it is written."""
    with psycopg.connect(uri(project), autocommit=True) as connection:
        found = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
    assert found is not None
    return str(found[0])


def sql(url: str, text: str) -> str:
    """What psql answers, given exactly this string."""
    done = subprocess.run(["psql", url, "-AtXqc", text], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_who_one_is(neon_cli: NeonCli) -> None:
    assert "@" in neon_cli.ok("me")["email"]
    assert [item["id"] for item in neon_cli.ok("orgs", "list")] != []


def test_a_project_lives_from_create_to_delete(neon_cli: NeonCli, emulator: Emulator) -> None:
    made = neon_cli.ok(
        "projects", "create", "--name", "by-cli", "--database", "app", "--role", "owner", "--cu", "0.25-1"
    )
    identity = made["project"]["id"]
    settle(emulator, identity)

    assert sql(made["connection_uris"][0]["connection_uri"], "SELECT current_user, current_database()") == "owner|app"
    assert identity in {item["id"] for item in neon_cli.ok("projects", "list")["projects"]}
    assert identity not in {item["id"] for item in neon_cli.ok("projects", "list", "--recoverable-only")}
    assert neon_cli.ok("projects", "get", identity)["name"] == "by-cli"
    changed = neon_cli.ok("projects", "update", identity, "--name", "renamed", "--cu", "0.5", "--block-vpc-connections")
    assert changed["name"] == "renamed"
    assert changed["default_endpoint_settings"]["autoscaling_limit_max_cu"] == 0.5
    assert neon_cli.ok("projects", "delete", identity)["id"] == identity
    refused = neon_cli.run("projects", "get", identity)
    assert (refused.code, "not found" in refused.err) == (1, True)


def settle(emulator: Emulator, project_id: str) -> None:
    """Wait until nothing of the project is under way."""
    for operation in emulator.api.get(f"/projects/{project_id}/operations").json()["operations"]:
        emulator.wait(operation)


def test_branches_are_made_named_given_an_end_and_deleted(neon_cli: NeonCli, emulator: Emulator, project: Json) -> None:
    of, identity = number(project), project["project"]["id"]
    made = neon_cli.ok("branches", "create", *of, "--name", "dev", "--expires-at", in_an_hour())
    settle(emulator, identity)
    branch = made["branch"]["id"]

    assert made["branch"]["expires_at"]
    assert sql(made["connection_uris"][0]["connection_uri"], "SELECT 1") == "1"
    assert {item["name"] for item in neon_cli.ok("branches", "list", *of)} == {"main", "dev"}
    assert neon_cli.ok("branches", "get", "dev", *of)["id"] == branch
    assert "expires_at" not in neon_cli.ok("branches", "set-expiration", "dev", *of)
    assert neon_cli.ok("branches", "rename", "dev", "feature", *of)["name"] == "feature"
    assert neon_cli.ok("branches", "set-default", "feature", *of)["default"] is True
    assert neon_cli.ok("branches", "set-default", "main", *of)["default"] is True
    bare = neon_cli.ok("branches", "create", *of, "--name", "bare", "--no-compute")
    settle(emulator, identity)
    assert "endpoints" not in bare
    added = neon_cli.ok("branches", "add-compute", "bare", *of, "--type", "read_write", "--cu", "0.25")
    settle(emulator, identity)
    assert added["branch_id"] == bare["id"]
    assert neon_cli.ok("branches", "delete", "bare", *of)["id"] == bare["id"]


def test_a_branch_is_made_at_a_moment_of_its_parent_or_of_its_schema(
    neon_cli: NeonCli, emulator: Emulator, project: Json
) -> None:
    of = number(project)
    with psycopg.connect(uri(project), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1")
        position = lsn(project)
        moment = datetime.fromisoformat(server_time(uri(project))).isoformat(timespec="milliseconds")
        connection.execute("CREATE TABLE later AS SELECT 1")
    made: list[Json] = []
    for options in (("--parent", position), ("--parent", moment), ("--schema-only",)):
        made.append(neon_cli.ok("branches", "create", *of, "--name", f"b{len(made)}", *options))
        settle(emulator, project["project"]["id"])
    at_position, at_moment, empty = (answer["connection_uris"][0]["connection_uri"] for answer in made)

    assert (sql(at_position, TABLES), sql(at_moment, TABLES)) == ("kept", "kept")
    assert (sql(empty, TABLES), sql(empty, "SELECT count(*) FROM kept")) == ("kept later", "0")


def test_snapshots_are_taken_changed_looked_at_and_put_in_the_place_of_a_branch(
    neon_cli: NeonCli, emulator: Emulator, project: Json
) -> None:
    of, identity = number(project), project["project"]["id"]
    with psycopg.connect(uri(project), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1")
    taken = neon_cli.ok("snapshots", "create", *of, "--name", "good", "--expires-at", in_an_hour())
    settle(emulator, identity)
    with psycopg.connect(uri(project), autocommit=True) as connection:
        connection.execute("CREATE TABLE later AS SELECT 1")
    snapshot = taken.get("snapshot", taken)["id"]
    assert [item["id"] for item in neon_cli.ok("snapshots", "list", *of)] == [snapshot]
    changed = neon_cli.ok("snapshots", "update", "good", *of, "--name", "better", "--clear-expiration")
    assert "expires_at" not in changed
    assert neon_cli.ok("snapshots", "get", "better", *of)["id"] == snapshot

    neon_cli.ok("snapshots", "restore", snapshot, *of, "--name", "preview", "--target-branch", "main")
    settle(emulator, identity)
    neon_cli.ok("snapshots", "finalize", "preview", *of, "--name", "before")
    settle(emulator, identity)
    assert {item["name"] for item in neon_cli.ok("branches", "list", *of)} == {"main", "before"}
    assert sql(uri(project), TABLES) == "kept"
    neon_cli.ok("snapshots", "delete", "better", *of)
    settle(emulator, identity)
    assert neon_cli.ok("snapshots", "list", *of) == []


def test_a_branch_goes_back_to_a_moment_and_to_its_parent(neon_cli: NeonCli, emulator: Emulator, project: Json) -> None:
    of, identity = number(project), project["project"]["id"]
    child = emulator.create_branch(project, name="dev")
    with psycopg.connect(uri(project), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1")
        moment = lsn(project)
        connection.execute("CREATE TABLE later AS SELECT 1")
    back = neon_cli.ok("branches", "restore", "main", f"^self@{moment}", *of, "--preserve-under-name", "before")
    settle(emulator, identity)
    reset = neon_cli.ok("branches", "reset", "dev", "--parent", *of)
    settle(emulator, identity)

    assert back["id"] == project["branch"]["id"]
    assert {item["name"] for item in neon_cli.ok("branches", "list", *of)} == {"main", "before", "dev"}
    assert reset["id"] == child["branch"]["id"]
    assert sql(uri(project), TABLES) == "kept"
    assert sql(uri(child), TABLES) == "kept later"  # its parent is the backup now


def test_schemas_are_compared(neon_cli: NeonCli, emulator: Emulator, project: Json) -> None:
    of = number(project)
    dev = emulator.create_branch(project, name="dev")
    with psycopg.connect(uri(dev), autocommit=True) as connection:
        connection.execute("CREATE TABLE item (id int)")
    compared = neon_cli.run("branches", "schema-diff", "main", "dev", *of, "--database", "app")
    before = neon_cli.run("branches", "schema-diff", "dev", f"^self@{dev['branch']['parent_lsn']}", *of)

    assert "+CREATE TABLE public.item (" in compared.out, compared.err
    assert (before.code, "-CREATE TABLE public.item (" in before.out) == (0, True), before.err


def test_roles_and_databases_come_and_go(neon_cli: NeonCli, emulator: Emulator, project: Json) -> None:
    of, identity = number(project), project["project"]["id"]
    assert neon_cli.ok("roles", "create", *of, "--name", "reader")["name"] == "reader"
    settle(emulator, identity)
    assert {item["name"] for item in neon_cli.ok("roles", "list", *of)} == {"app_owner", "reader"}
    made = neon_cli.ok("databases", "create", *of, "--name", "second", "--owner-name", "reader")
    settle(emulator, identity)
    assert made["owner_name"] == "reader"
    assert {item["name"] for item in neon_cli.ok("databases", "list", *of)} == {"app", "second"}
    assert neon_cli.ok("databases", "delete", "second", *of)["name"] == "second"
    settle(emulator, identity)
    assert neon_cli.ok("roles", "delete", "reader", *of)["name"] == "reader"
    settle(emulator, identity)
    assert "apply_config" in {item["action"] for item in neon_cli.ok("operations", "list", *of)}


def test_allowed_addresses_are_kept(neon_cli: NeonCli, project: Json) -> None:
    of = number(project)
    assert neon_cli.ok("ip-allow", "list", *of)["IP_addresses"] == []
    assert neon_cli.ok("ip-allow", "add", "10.0.0.1", "10.1.0.0/16", *of)["IP_addresses"] == ["10.0.0.1", "10.1.0.0/16"]
    assert neon_cli.ok("ip-allow", "remove", "10.0.0.1", *of)["IP_addresses"] == ["10.1.0.0/16"]
    assert neon_cli.ok("ip-allow", "reset", *of)["IP_addresses"] == []


@pytest.mark.parametrize("options", [(), ("--pooled",), ("--ssl", "verify-full")], ids=["plain", "pooled", "verified"])
def test_psql_connects_with_exactly_the_string(
    neon_cli: NeonCli, emulator: Emulator, shared: Json, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", emulator.environment["SSL_CERT_FILE"])
    string = neon_cli.ok("connection-string", *number(shared), *options).strip()

    assert "channel_binding=require" in string
    assert sql(string, "SELECT current_user, current_database()") == "app_owner|app"


def test_with_names_the_pooled_string_leads_to_the_pooler(
    neon_cli: NeonCli, another_emulator: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = another_emulator("--names")
    shell = emulator.environment
    key = ("--api-host", shell["NEON_API_URL"], "--api-key", shell["NEON_API_KEY"])
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")  # for machines that know no names below localhost
    monkeypatch.setenv("PGSSLROOTCERT", shell["SSL_CERT_FILE"])
    made = emulator.create_project()
    direct, pooled = (
        neon_cli.ok("connection-string", *number(made), *key, "--ssl", "verify-full", *options).strip()
        for options in ((), ("--pooled",))
    )

    asked = {"database_name": "app", "role_name": "app_owner", "pooled": "true"}
    told = emulator.ok("GET", f"/projects/{made['project']['id']}/connection_uri", params=asked)["uri"]
    assert pooled.replace("verify-full", "require") == told
    assert "-pooler.neon.localhost:" in pooled
    assert [sql(string, "SELECT current_user") for string in (direct, pooled)] == ["app_owner", "app_owner"]
    with psycopg.connect(direct, options="-c statement_timeout=1min") as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("1min",)
    with pytest.raises(psycopg.OperationalError, match="unsupported startup parameter"):
        psycopg.connect(pooled, options="-c statement_timeout=1min")


def test_the_string_for_prisma_has_its_parameters(neon_cli: NeonCli, shared: Json) -> None:
    string = neon_cli.ok("connection-string", *number(shared), "--prisma", "--pooled").strip()

    assert {"pgbouncer=true", "connect_timeout=30", "pool_timeout=30"} <= set(string.partition("?")[2].split("&"))


def test_psql_is_started_by_the_command_line_itself(neon_packages: NeonPackages, shared: Json) -> None:
    program = "node_modules/neonctl/bin/cli.js"
    done = neon_packages.run(program, "psql", *number(shared), "--no-analytics", "--", "-AtXqc", "SELECT current_user")

    assert (done.returncode, done.stdout) == (0, "app_owner\n"), done.stderr


def test_any_route_is_called_by_its_path(neon_cli: NeonCli, emulator: Emulator, project: Json) -> None:
    path = f"/projects/{project['project']['id']}"
    assert neon_cli.ok("api", path)["project"]["id"] == project["project"]["id"]
    made = neon_cli.ok("api", f"{path}/branches", "-F", "branch.name=by-path")
    settle(emulator, project["project"]["id"])

    assert made["branch"]["name"] == "by-path"
    assert neon_cli.run("api", f"{path}/branches/br-none-12345678").code == 1


def test_a_refusal_is_told_in_the_emulators_words(neon_cli: NeonCli, shared: Json) -> None:
    refused = neon_cli.run("branches", "delete", "main", *number(shared))

    assert refused.code == 1
    assert "default branch cannot be deleted" in refused.err
