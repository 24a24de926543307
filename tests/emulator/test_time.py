from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.emulator.urls import branch_path, project_path, uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import Emulator

Json = dict[str, Any]


def write(url: str, *statements: str) -> list[str]:
    """Run each statement in a transaction of its own; returns the log's insert position after each."""
    found = []
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
            found.append(position(connection))
    return found


def position(connection: psycopg.Connection[Any]) -> str:
    row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
    assert row is not None
    return str(row[0])


def items(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [int(row[0]) for row in connection.execute("SELECT id FROM item ORDER BY id")]


def server_time(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    return str(row[0].isoformat())


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
    before = emulator.ok("GET", path)["branches"]
    answer = emulator.api.post(path, json={"branch": moment})

    assert (answer.status_code, words in answer.json()["message"]) == (status, True), answer.text
    assert emulator.ok("GET", path)["branches"] == before


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
        emulator.api.post(path, json={"branch": moment}) for moment in ({"parent_lsn": old}, {"parent_timestamp": time})
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
