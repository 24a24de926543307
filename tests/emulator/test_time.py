from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.emulator.moments import items, server_time, write
from tests.emulator.urls import branch_path, project_path, uri
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.emulator import Emulator

Json = dict[str, Any]


def test_a_branch_at_a_position_has_what_was_committed_before_it(emulator: Emulator, project: Json) -> None:
    first, second, third = write(
        uri(project),
        "CREATE TABLE item AS SELECT 1 AS id",
        "INSERT INTO item VALUES (2)",
        "INSERT INTO item VALUES (3)",
    )
    branches = [emulator.create_branch(project, parent_lsn=lsn) for lsn in (first, second, third)]

    assert [items(uri(branch)) for branch in branches] == [[1], [1, 2], [1, 2, 3]]
    assert [branch["branch"]["parent_lsn"] for branch in branches] == [first, second, third]
    assert items(uri(project)) == [1, 2, 3]


def test_a_branch_at_a_time_has_what_was_committed_until_then(emulator: Emulator, project: Json) -> None:
    write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    between = server_time(uri(project))
    write(uri(project), "INSERT INTO item VALUES (2)")
    after = server_time(uri(project))
    at_first = emulator.create_branch(project, parent_timestamp=between)
    at_second = emulator.create_branch(project, parent_timestamp=after)

    assert (items(uri(at_first)), items(uri(at_second))) == ([1], [1, 2])
    assert at_first["branch"]["parent_timestamp"] == datetime.fromisoformat(between).strftime("%Y-%m-%dT%H:%M:%SZ")
    again = emulator.create_branch(project, parent_lsn=at_first["branch"]["parent_lsn"])
    assert items(uri(again)) == [1]


def test_the_answer_to_a_branch_of_now_names_the_position_that_it_has(emulator: Emulator, project: Json) -> None:
    (lsn,) = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    body = {"branch": {"name": "dev"}}
    answer = emulator.ok("POST", f"{project_path(project)}/branches", json=body)
    write(uri(project), "INSERT INTO item VALUES (2)")
    later = emulator.ok("GET", branch_path(answer))["branch"]
    twin = emulator.create_branch(project, parent_lsn=answer["branch"]["parent_lsn"])

    assert answer["branch"]["parent_lsn"] == later["parent_lsn"] == lsn
    assert items(uri(twin)) == [1]


@pytest.mark.parametrize(
    ("moment", "status", "words"),
    [
        ({"parent_lsn": "FFFF/0"}, 422, "is not there yet"),
        ({"parent_lsn": "0/1"}, 422, "before the branch existed"),
        ({"parent_timestamp": "2001-01-01T00:00:00Z"}, 422, "before the branch existed"),
        ({"parent_timestamp": "2199-01-01T00:00:00Z"}, 422, "lies in the future"),
        ({"parent_lsn": "1E8A9B8"}, 400, "log sequence number"),
        ({"parent_lsn": "0/1E8A9B8A1"}, 400, "log sequence number"),
        ({"parent_timestamp": "2026-11-01T00:00:00"}, 400, "with a time zone"),
        ({"parent_timestamp": "yesterday"}, 400, "with a time zone"),
        ({"parent_lsn": "0/1E8A9B8", "parent_timestamp": "2026-11-01T00:00:00Z"}, 400, "exclude one another"),
    ],
)
def test_a_moment_that_cannot_be_reached_is_refused_and_leaves_nothing(
    emulator: Emulator, shared: Json, moment: Json, status: int, words: str
) -> None:
    path = f"{project_path(shared)}/branches"
    before = {branch["id"] for branch in emulator.ok("GET", path)["branches"]}
    answer = emulator.api.post(path, json={"branch": moment})

    assert (answer.status_code, words in answer.json()["message"]) == (status, True), answer.text
    assert {branch["id"] for branch in emulator.ok("GET", path)["branches"]} == before


def test_a_moment_before_the_history_window_is_refused(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator()
    project = emulator.create_project(history_retention_seconds=3600)
    old, last = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id", "INSERT INTO item VALUES (2)")
    time = server_time(uri(project))
    emulator.advance(1800)
    assert items(uri(emulator.create_branch(project, parent_lsn=old))) == [1]
    assert items(uri(emulator.create_branch(project, parent_timestamp=time))) == [1, 2]
    write(uri(project), "INSERT INTO item VALUES (3)")
    emulator.advance(1801)
    path = f"{project_path(project)}/branches"
    refused = [
        emulator.answer("POST", path, json={"branch": moment})
        for moment in ({"parent_lsn": old}, {"parent_timestamp": time})
    ]

    assert [answer.status_code for answer in refused] == [422, 422]
    assert all("outside of the history window" in answer.json()["message"] for answer in refused)
    assert items(uri(emulator.create_branch(project, parent_lsn=last))) == [1, 2]  # it was the present until later


def test_a_branch_of_a_branch_has_its_own_past_and_not_its_parents(emulator: Emulator, project: Json) -> None:
    before, start = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id", "INSERT INTO item VALUES (2)")
    child = emulator.create_branch(project, name="child")
    own, _ = write(uri(child), "INSERT INTO item VALUES (10)", "INSERT INTO item VALUES (11)")
    write(uri(project), "INSERT INTO item VALUES (3)")
    past = emulator.create_branch(project, name="past", parent_id=child["branch"]["id"], parent_lsn=own)
    further, _ = write(uri(past), "INSERT INTO item VALUES (20)", "INSERT INTO item VALUES (21)")
    deep = emulator.create_branch(project, name="deep", parent_id=past["branch"]["id"], parent_lsn=further)
    deeper, _ = write(uri(deep), "INSERT INTO item VALUES (30)", "INSERT INTO item VALUES (31)")
    deepest = emulator.create_branch(project, name="deepest", parent_id=deep["branch"]["id"], parent_lsn=deeper)
    copied = emulator.create_branch(project, name="copied", parent_id=deepest["branch"]["id"])
    last, _ = write(uri(copied), "INSERT INTO item VALUES (40)", "INSERT INTO item VALUES (41)")
    end = emulator.create_branch(project, name="end", parent_id=copied["branch"]["id"], parent_lsn=last)

    assert items(uri(past))[:3] == [1, 2, 10]
    assert items(uri(deep))[:4] == [1, 2, 10, 20]
    assert items(uri(deepest)) == [1, 2, 10, 20, 30]
    assert items(uri(end)) == [1, 2, 10, 20, 30, 40]
    body = {"branch": {"parent_id": child["branch"]["id"], "parent_lsn": before}}
    refused = emulator.api.post(f"{project_path(project)}/branches", json=body)
    assert (refused.status_code, "before the branch existed" in refused.json()["message"]) == (422, True)
    assert start


def test_the_past_is_kept_short(another_emulator: Callable[..., Emulator]) -> None:
    emulator = another_emulator()
    project = emulator.create_project(history_retention_seconds=3600)
    folder = emulator.data / "branches" / project["branch"]["id"]
    child = emulator.create_branch(project, name="child")
    (lsn,) = write(uri(child), "CREATE TABLE item AS SELECT 1 AS id")
    with psycopg.connect(uri(project), autocommit=True) as connection:
        for number in (1, 2):
            write_log(connection, megabytes=140)
            until(lambda number=number: len(list(folder.glob("bases/[0-9A-F]*"))) == number)  # type: ignore[misc]
        before = segments(folder)
        assert len(before) > 260
        emulator.advance(3601)
        until(lambda: len(segments(folder)) < 60)
        until(lambda: len(list(folder.glob("bases/*"))) == 1)
    own, _ = write(uri(project), "CREATE TABLE item AS SELECT 2 AS id", "INSERT INTO item VALUES (3)")

    assert items(uri(emulator.create_branch(project, parent_lsn=own))) == [2]
    write(uri(child), "INSERT INTO item VALUES (4)")
    late = emulator.create_branch(project, parent_id=child["branch"]["id"], parent_lsn=lsn)
    assert items(uri(late)) == [1]  # what a child needs of its parent's past has stayed


def segments(folder: Path) -> list[str]:
    return [entry.name for entry in (folder / "data" / "pg_wal").iterdir() if len(entry.name) == 24]


def write_log(connection: psycopg.Connection[Any], megabytes: int) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS filler (content text)")
    connection.execute(
        "INSERT INTO filler SELECT repeat(md5(random()::text), 30) FROM generate_series(1, %s)", [megabytes * 1024]
    )
    connection.execute("TRUNCATE filler")


def test_a_branch_of_the_schema_only_is_a_root_without_rows(emulator: Emulator, project: Json) -> None:
    write(
        uri(project),
        "CREATE TABLE item (id serial PRIMARY KEY)",
        "CREATE TABLE part (id int REFERENCES item)",
        "INSERT INTO item DEFAULT VALUES",
        "INSERT INTO part VALUES (1)",
        "CREATE MATERIALIZED VIEW items AS SELECT * FROM item",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$",
        "CREATE TRIGGER refuse BEFORE TRUNCATE ON item EXECUTE FUNCTION refuse()",
    )
    bare = emulator.create_branch(project, name="bare", init_source="schema-only")
    found = emulator.ok("GET", branch_path(bare))["branch"]

    assert found["init_source"] == "schema-only"
    assert not {"parent_id", "parent_lsn", "parent_timestamp"} & set(found)
    assert items(uri(bare)) == []
    write(uri(bare), "INSERT INTO item DEFAULT VALUES", "INSERT INTO part VALUES (1)")
    assert items(uri(bare)) == [1]
    body = {"branch": {"parent_id": bare["branch"]["id"], "parent_lsn": "0/1"}}
    assert emulator.api.post(f"{project_path(project)}/branches", json=body).status_code == 422
    wrong = emulator.api.post(f"{project_path(project)}/branches", json={"branch": {"init_source": "air"}})
    assert wrong.status_code == 400
    emulator.ok("DELETE", branch_path(bare))


def test_a_position_at_the_begin_of_a_file_of_the_log_is_as_good_as_any(emulator: Emulator, project: Json) -> None:
    (first,) = write(uri(project), "CREATE TABLE item AS SELECT 1 AS id")
    emulator.create_branch(project, parent_lsn=first)  # the parent goes on in the next file
    after_its_header, _ = write(uri(project), "SELECT 1", "INSERT INTO item VALUES (2)")
    high, low = after_its_header.split("/")
    begin = f"{high}/{int(low, 16) & ~0xFFFFF:X}"
    branches = [emulator.create_branch(project, parent_lsn=lsn) for lsn in (begin, after_its_header)]

    assert [items(uri(branch)) for branch in branches] == [[1], [1]]
