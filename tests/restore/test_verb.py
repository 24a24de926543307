"""`restore` as a person runs it: what it says, its document, and that nothing of a password is in it without --show."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dbclient.url import DatabaseURL

if TYPE_CHECKING:
    from tests.restore.conftest import Place


def test_it_lists_where_the_environment_can_go_back_to(shared_place: Place) -> None:
    done = shared_place.inv("restore", "--env", "prod")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    listed = {line[0]: line[4:6] for line in lines if line and line[0].startswith("000")}
    assert {id_: state for id_, (_, state) in listed.items()} == dict.fromkeys(
        ("0001_people", "0002_rows", "0003_fewer"), "within"
    )
    document = json.loads(shared_place.inv("restore", "--env", "prod", "--json").stdout)
    assert [point["wal_position"] for point in document["points"]] == [lsn for lsn, _ in listed.values()]
    assert {point["reachable"] for point in document["points"]} == {True}


def test_it_looks_and_shows_the_url_when_it_is_asked_to(shared_place: Place) -> None:
    said = shared_place.inv("restore", "--env", "prod", "--before", "3")
    assert said.returncode == 0, said.stderr
    assert (
        "Person                              1,000          900          100            0           50" in said.stdout
    )
    assert (
        "tag                                   100           90           10            0            -" in said.stdout
    )
    shown = shared_place.inv("restore", "--env", "prod", "--before", "0003", "--show", "--json")
    document = json.loads(shown.stdout)
    url = DatabaseURL.parse(document["url"])
    assert str(url.password) not in said.stdout + said.stderr
    assert shared_place.value('SELECT count(*) FROM "Person"', url) == 1000
    hidden = json.loads(shared_place.inv("restore", "--env", "prod", "--before", "0003", "--json").stdout)
    assert str(url.password) not in json.dumps(hidden)
    person = next(table for table in hidden["tables"] if table["table"] == "Person")
    assert (person["gone"], person["changed"], person["key"]) == (100, 50, ["id"])


def test_it_says_which_flag_needs_which(shared_place: Place) -> None:
    assert shared_place.inv("restore").returncode == 2
    assert shared_place.inv("restore", "--env", "prod", "--show").returncode == 2
    said = shared_place.inv("restore", "--env", "prod", "--release", "0003")
    assert (said.returncode, "0003 is not held; nothing is" in said.stderr) == (2, True)
