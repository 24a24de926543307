from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.emulator.urls import branch_path, project_path, uri

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

Json = dict[str, Any]


def test_a_role_gets_in_with_the_password_of_its_creation(emulator: Emulator, project: Json) -> None:
    role = emulator.ok("POST", f"{branch_path(project)}/roles", json={"role": {"name": "reader"}})["role"]

    with psycopg.connect(uri(project), user="reader", password=role["password"]) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("reader",)


def test_a_reset_password_replaces_the_old_one(emulator: Emulator, project: Json) -> None:
    path = f"{branch_path(project)}/roles/app_owner"
    fresh = emulator.ok("POST", f"{path}/reset_password")["role"]["password"]

    assert emulator.ok("GET", f"{path}/reveal_password")["password"] == fresh
    with psycopg.connect(uri(project), password=fresh) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(uri(project))


def test_no_password_stands_in_the_log_of_a_server_that_logs_every_statement(emulator: Emulator, project: Json) -> None:
    folder = emulator.data / "branches" / project["branch"]["id"]
    port = (folder / "data" / "postmaster.pid").read_text().splitlines()[3]
    password = (emulator.data / "superuser-password").read_text()
    superuser = {"host": "127.0.0.1", "port": port, "user": "cloud_admin", "password": password, "dbname": "postgres"}
    with psycopg.connect(**superuser, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        connection.execute("SELECT pg_reload_conf()")
    made = emulator.ok("POST", f"{branch_path(project)}/roles", json={"role": {"name": "reader"}})["role"]["password"]
    fresh = emulator.ok("POST", f"{branch_path(project)}/roles/reader/reset_password")["role"]["password"]
    with psycopg.connect(uri(project), user="reader", password=fresh) as connection:
        connection.execute("SELECT 'said by a client'")
    log = (folder / "server.log").read_text()
    assert "said by a client" in log
    assert "LOGIN PASSWORD" in log
    assert not [password for password in (made, fresh) if password in log]


def test_a_reset_on_a_branch_leaves_its_parent_alone(emulator: Emulator, project: Json) -> None:
    dev = emulator.create_branch(project, name="dev")
    fresh = emulator.ok("POST", f"{branch_path(dev)}/roles/app_owner/reset_password")["role"]["password"]

    with psycopg.connect(uri(project)), psycopg.connect(uri(dev), password=fresh):
        pass
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(uri(dev))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(uri(project), password=fresh)


def test_roles_and_databases_made_in_sql_show_up(emulator: Emulator, project: Json) -> None:
    with psycopg.connect(uri(project), autocommit=True) as connection:
        connection.execute("CREATE ROLE server NOLOGIN")
        connection.execute("CREATE DATABASE shadow")
    roles = emulator.ok("GET", f"{branch_path(project)}/roles")["roles"]
    databases = emulator.ok("GET", f"{branch_path(project)}/databases")["databases"]

    assert [(role["name"], role["authentication_method"]) for role in roles] == [
        ("app_owner", "password"),
        ("server", "no_login"),
    ]
    assert [(item["name"], item["owner_name"]) for item in databases] == [("app", "app_owner"), ("shadow", "app_owner")]
    assert emulator.api.get(f"{branch_path(project)}/roles/server/reveal_password").status_code == 404


def test_a_password_changed_in_sql_is_not_told_wrongly(emulator: Emulator, project: Json) -> None:
    with psycopg.connect(uri(project), autocommit=True) as connection:
        connection.execute("ALTER ROLE app_owner PASSWORD 'chosen-in-sql'")

    assert emulator.api.get(f"{branch_path(project)}/roles/app_owner/reveal_password").status_code == 501


def test_a_database_is_made_renamed_given_away_and_dropped(emulator: Emulator, project: Json) -> None:
    path = f"{branch_path(project)}/databases"
    emulator.ok("POST", f"{branch_path(project)}/roles", json={"role": {"name": "reader"}})
    made = emulator.ok("POST", path, json={"database": {"name": "extra", "owner_name": "app_owner"}})["database"]
    emulator.ok("PATCH", f"{path}/extra", json={"database": {"name": "other", "owner_name": "reader"}})
    found = emulator.ok("GET", f"{path}/other")["database"]

    assert (found["id"], found["owner_name"]) == (made["id"], "reader")
    with psycopg.connect(uri(project), dbname="other") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    emulator.ok("DELETE", f"{path}/other")
    assert emulator.api.get(f"{path}/other").status_code == 404


@pytest.mark.parametrize(
    ("noun", "body", "status"),
    [
        ("roles", {"role": {"name": "app_owner"}}, 409),
        ("roles", {"role": {"name": "neon_superuser"}}, 400),
        ("roles", {"role": {"name": "pg_anything"}}, 400),
        ("roles", {}, 400),
        ("databases", {"database": {"name": "app", "owner_name": "app_owner"}}, 409),
        ("databases", {"database": {"name": "new", "owner_name": "nobody"}}, 404),
        ("databases", {"database": {"name": "template1", "owner_name": "app_owner"}}, 400),
    ],
)
def test_what_cannot_be_made_is_refused(emulator: Emulator, shared: Json, noun: str, body: Json, status: int) -> None:
    assert emulator.api.post(f"{branch_path(shared)}/{noun}", json=body).status_code == status


def test_an_owner_of_databases_is_not_dropped(emulator: Emulator, shared: Json) -> None:
    assert emulator.api.delete(f"{branch_path(shared)}/roles/app_owner").status_code == 422


def test_a_role_that_owns_tables_makes_the_operation_fail_and_stays(emulator: Emulator, project: Json) -> None:
    role = emulator.ok("POST", f"{branch_path(project)}/roles", json={"role": {"name": "writer"}})["role"]
    with psycopg.connect(uri(project)) as connection:
        connection.execute("GRANT CREATE ON SCHEMA public TO writer")
    with psycopg.connect(uri(project), user="writer", password=role["password"]) as connection:
        connection.execute("CREATE TABLE mine (id int)")
    answer = emulator.ok("DELETE", f"{branch_path(project)}/roles/writer")

    ended = emulator.wait(answer["operations"][0])
    assert (ended["status"], "mine" in ended["error"] or "depend" in ended["error"]) == ("failed", True)
    assert emulator.api.get(f"{branch_path(project)}/roles/writer").status_code == 200


def test_without_a_compute_roles_cannot_be_made(emulator: Emulator, project: Json) -> None:
    dev = emulator.ok("POST", f"{project_path(project)}/branches", json={"branch": {"name": "dev"}})

    answer = emulator.api.post(f"{branch_path(dev)}/roles", json={"role": {"name": "reader"}})
    assert answer.status_code == 422
    assert [role["name"] for role in emulator.ok("GET", f"{branch_path(dev)}/roles")["roles"]] == ["app_owner"]
