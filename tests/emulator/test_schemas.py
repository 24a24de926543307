from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.emulator.moments import server_time, write
from tests.emulator.urls import branch_path, uri

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

Json = dict[str, Any]


def schema(emulator: Emulator, branch: Json, **query: str) -> Json:
    return emulator.ok("GET", f"{branch_path(branch)}/schema", params={"db_name": "app", **query})


def test_a_schema_is_what_pg_dump_writes_now_or_at_a_moment(emulator: Emulator, project: Json) -> None:
    first, _ = write(uri(project), "CREATE TABLE item (id int PRIMARY KEY)", "ALTER TABLE item ADD COLUMN name text")
    between = server_time(uri(project))
    write(uri(project), "DROP TABLE item")
    now, at_position, at_time = (
        schema(emulator, project, **moment)["sql"] for moment in ({}, {"lsn": first}, {"timestamp": between})
    )

    assert "CREATE TABLE" not in now
    assert "CREATE TABLE public.item (\n    id integer NOT NULL\n);" in at_position
    assert "ALTER TABLE public.item OWNER TO app_owner;" in at_position
    assert "restrict" not in at_position
    assert "    name text\n" in at_time
    assert not list((emulator.data / "branches").glob("look-*"))


def test_a_schema_is_told_as_json(emulator: Emulator, project: Json) -> None:
    write(
        uri(project),
        "CREATE TABLE owner (id int PRIMARY KEY, name varchar(20) UNIQUE)",
        "CREATE TABLE item (a int, b int, owner int REFERENCES owner, PRIMARY KEY (b, a),"
        " sum int GENERATED ALWAYS AS (a + b) STORED)",
    )
    item, owner = schema(emulator, project, format="json")["json"]["tables"]

    assert (item["schema"], item["name"], owner["name"]) == ("public", "item", "owner")
    assert owner["columns"][1] == {
        "name": "name", "type": "character varying(20)", "nullable": True, "generated": False,
    }  # fmt: skip
    assert [column["generated"] for column in item["columns"]] == [False, False, False, True]
    assert {found["type"]: found["columns"] for found in item["constraints"]} == {
        "primary_key": ["b", "a"],
        "foreign_key": ["owner"],
    }
    key = next(found for found in item["constraints"] if found["type"] == "foreign_key")
    assert key["referenced_table"] == {"schema": "public", "table": "owner", "columns": ["id"]}


def test_schemas_are_compared_with_the_parent_another_branch_or_a_moment(emulator: Emulator, project: Json) -> None:
    (before,) = write(uri(project), "CREATE TABLE item (id int)")
    dev = emulator.create_branch(project, name="dev")
    write(uri(dev), "ALTER TABLE item ADD COLUMN name text")

    def diff(branch: Json, **query: str) -> str:
        found = emulator.ok("GET", f"{branch_path(branch)}/compare_schema", params={"db_name": "app", **query})
        return str(found["diff"])

    added = diff(dev)
    assert added.startswith("--- a/app\n+++ b/app\n@@ ")
    assert "\n+    name text\n" in added
    assert "\n-    name text\n" in diff(project, base_branch_id=dev["branch"]["id"])
    assert diff(project) == ""
    write(uri(project), "DROP TABLE item")
    assert "\n-CREATE TABLE public.item (" in diff(project, base_lsn=before)


def test_a_schema_that_cannot_be_read_is_refused(emulator: Emulator, shared: Json) -> None:
    asked: list[tuple[Json, int]] = [
        ({}, 400),
        ({"db_name": "none"}, 404),
        ({"db_name": "template1"}, 404),
        ({"db_name": "app", "format": "xml"}, 400),
        ({"db_name": "app", "lsn": "0/1", "timestamp": "2026-01-01T00:00:00Z"}, 400),
        ({"db_name": "app", "lsn": "FFFF/0"}, 422),
        ({"db_name": "app", "timestamp": "2020-01-01T00:00:00Z"}, 422),
    ]
    answers = [emulator.api.get(f"{branch_path(shared)}/schema", params=query) for query, _ in asked]

    assert [answer.status_code for answer in answers] == [status for _, status in asked]
