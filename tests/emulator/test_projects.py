from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from servers.extensions import neon_extensions
from tests.emulator.urls import branch_path, project_path, uri
from tests.support.emulator import Emulator
from tests.support.run_folders import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]


def test_a_new_project_answers_with_a_url_that_opens_its_database(shared: Json) -> None:
    with psycopg.connect(uri(shared)) as connection:
        found = connection.execute("SELECT current_user, current_database()").fetchone()

    assert found == ("app_owner", "app")


def test_the_owner_is_shaped_like_neons(shared: Json) -> None:
    with psycopg.connect(uri(shared), autocommit=True) as connection:
        found = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, pg_has_role('neon_superuser', 'member'),"
            " pg_has_role('pg_read_all_stats', 'usage') FROM pg_roles WHERE rolname = current_user"
        ).fetchone()

        assert found == (False, True, True, True, True, True)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("ALTER SYSTEM SET work_mem = '1GB'")


def test_the_owner_makes_every_extension_of_neons_that_is_here(project: Json) -> None:
    with psycopg.connect(uri(project), autocommit=True) as connection:
        offered = {name for (name,) in connection.execute("SELECT name FROM pg_available_extensions")}
        for name in sorted(offered):
            connection.execute(f'CREATE EXTENSION IF NOT EXISTS "{name}" CASCADE')
        assert connection.execute("SELECT '[3,4]'::vector <-> '[0,0]'").fetchone() == (5.0,)
        assert offered <= neon_extensions().keys()
        if "citext" not in offered:
            pytest.skip("PostgreSQL's own extensions could not be installed")
        assert offered == {name for name, comes_with in neon_extensions().items() if comes_with}
        assert connection.execute("SELECT count(*) >= 0 FROM pg_stat_statements").fetchone() == (True,)


def test_an_emulator_of_another_version_makes_projects_of_it_and_keeps_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newer = Emulator(make_folder("neon-version"))
    with monkeypatch.context() as variables:
        variables.setenv("POSTGRES_MAJOR", "18")
        newer.start()
    try:
        made = newer.create_project(pg_version=18)
        refused = newer.api.post("/projects", json={"project": {"pg_version": 16}})
        assert (refused.status_code, "PostgreSQL 16" in refused.text) == (501, True)
        with psycopg.connect(uri(made), autocommit=True) as connection:
            assert connection.info.server_version // 10_000 == 18
            connection.execute("CREATE TABLE kept (n int)")
        newer.stop()
        newer.start()
        assert newer.create_project()["project"]["pg_version"] == 18
        branch = newer.create_branch(made, name="copy")
        with psycopg.connect(uri(branch)) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        dumped = newer.ok("GET", f"{branch_path(made)}/schema", params={"db_name": "app"})
        assert "CREATE TABLE public.kept" in dumped["sql"]
    finally:
        newer.remove()


def test_the_server_says_which_project_branch_and_endpoint_it_is(shared: Json) -> None:
    names = ("neon.project_id", "neon.branch_id", "neon.endpoint_id")
    with psycopg.connect(uri(shared)) as connection:
        found = [connection.execute("SELECT current_setting(%s, true)", [name]).fetchone() for name in names]

    wanted = (shared["project"]["id"], shared["branch"]["id"], shared["endpoints"][0]["id"])
    assert found == [(value,) for value in wanted]


def test_what_the_provider_reads_after_creating_is_there(emulator: Emulator, project: Json) -> None:
    path = project_path(project)
    branches = emulator.ok("GET", f"{path}/branches")["branches"]
    endpoints = emulator.ok("GET", f"{branch_path(project)}/endpoints")["endpoints"]
    databases = emulator.ok("GET", f"{branch_path(project)}/databases")["databases"]
    password = emulator.ok("GET", f"{branch_path(project)}/roles/app_owner/reveal_password")["password"]

    assert [(branch["name"], branch["default"], branch["current_state"]) for branch in branches] == [
        ("main", True, "ready")
    ]
    assert [(item["type"], item["disabled"], item["current_state"]) for item in endpoints] == [
        ("read_write", False, "active")
    ]
    assert [(item["name"], item["owner_name"]) for item in databases] == [("app", "app_owner")]
    assert password == project["roles"][0]["password"]
    assert "allowed_ips" in emulator.ok("GET", path)["project"]["settings"]


def test_settings_of_a_project_change_and_stay(emulator: Emulator, project: Json) -> None:
    path = project_path(project)
    settings = {"allowed_ips": {"ips": ["10.0.0.0/8"], "protected_branches_only": True}}
    emulator.ok("PATCH", path, json={"project": {"name": "other", "settings": settings}})

    found = emulator.ok("GET", path)["project"]

    assert (found["name"], found["settings"]["allowed_ips"]["ips"]) == ("other", ["10.0.0.0/8"])
    assert found["settings"]["maintenance_window"]["weekdays"] == [2]


def test_a_deleted_project_is_gone_with_its_server(emulator: Emulator, project: Json) -> None:
    emulator.ok("DELETE", project_path(project))

    assert emulator.api.get(project_path(project)).status_code == 404
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(uri(project))


def test_projects_are_listed_in_pages(emulator: Emulator) -> None:
    wanted = {emulator.create_project(name="paged")["project"]["id"] for _ in range(3)}
    found: list[str] = []
    query: dict[str, Any] = {"search": "paged", "limit": 2}
    while page := emulator.ok("GET", "/projects", params=query)["projects"]:
        found += [item["id"] for item in page]
        query["cursor"] = found[-1]

    assert set(found) == wanted
    assert len(found) == 3


@pytest.mark.parametrize(
    ("settings", "status", "words"),
    [
        ({"pg_version": 17}, 501, "PostgreSQL 17"),
        ({"history_retention_seconds": 604_801}, 400, "exceeds allowed maximum"),
        ({"autoscaling_limit_max_cu": 17}, 422, "autoscaling limit"),
        ({"name": 7}, 400, "must be a string"),
    ],
)
def test_a_project_that_cannot_be_is_refused(emulator: Emulator, settings: Json, status: int, words: str) -> None:
    answer = emulator.api.post("/projects", json={"project": settings})

    assert answer.status_code == status
    assert words in answer.json()["message"]
    assert set(answer.json()) == {"request_id", "code", "message"}


def test_a_wrong_key_is_refused(emulator: Emulator) -> None:
    answer = emulator.api.get("/projects", headers={"Authorization": "Bearer napi_other"})

    assert answer.status_code == 401


def test_a_personal_key_needs_an_organisation(another_emulator: Callable[..., Emulator]) -> None:
    personal = another_emulator("--require-org")

    answer = personal.api.post("/projects", json={"project": {}})

    assert answer.status_code == 400
    assert "org_id is required" in answer.json()["message"]


def test_passwords_that_are_not_stored_cannot_be_revealed(emulator: Emulator) -> None:
    project = emulator.create_project(store_passwords=False)

    answer = emulator.api.get(f"{branch_path(project)}/roles/app_owner/reveal_password")

    assert answer.status_code == 412
