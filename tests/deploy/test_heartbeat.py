"""A long statement tells what it is at, and what holds it up, while it runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from dbclient.url import DatabaseURL
from pipeline.deploy import apply, heartbeat
from pipeline.deploy.observer import Observer
from services import OWNER
from tests.emulator.urls import uri
from tests.support.sample import Database

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.folders import FolderBuilder

INDEX = "-- An index\n-- transactional: false\n\nCREATE INDEX CONCURRENTLY person_name ON person (name);\n"


class Listening(Observer):
    """Keeps what it is told; when it is told of the first long statement, `then` is called."""

    def __init__(self, then: Callable[[], object]) -> None:
        self.at = ""
        self.told: list[tuple[str, str, float]] = []
        self._then = then

    def running(self, migration: str) -> None:
        self.at = migration

    def still_running(self, doing: str, seconds: float) -> None:
        self.told.append((self.at, doing, seconds))
        if len(self.told) == 1:
            self._then()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks begin as soon as the server says nothing."""
    monkeypatch.setattr(heartbeat, "FIRST", 0.05)
    monkeypatch.setattr(heartbeat, "AGAIN", 0.05)


@pytest.mark.usefixtures("at_once")
def test_a_build_of_an_index_tells_its_phase_and_what_holds_it_up(db: Database, folder: FolderBuilder) -> None:
    folder.write("0001_person", "CREATE TABLE person (id int, name text);")
    apply(db.url, folder.read())
    folder.write("0002_index", INDEX)
    with db.connect() as other:
        other.execute("BEGIN; INSERT INTO person VALUES (1, 'a')")
        pid = other.info.backend_pid
        listening = Listening(lambda: other.execute("COMMIT"))
        report = apply(db.url, folder.read(), observer=listening)
    assert [each.id for each in report.applied] == ["0002_index"]
    at, doing, seconds = listening.told[0]
    assert at == "0002_index"
    assert doing.startswith("waiting for writers before build, 0 % of 1 transactions, held up by backend ")
    assert f"backend {pid} ({OWNER}, idle in transaction)" in doing
    assert seconds >= 0.05


@pytest.mark.usefixtures("at_once")
def test_a_build_over_many_rows_tells_how_far_it_is(db: Database, folder: FolderBuilder) -> None:
    rows = "INSERT INTO person SELECT n, md5(n::text) FROM generate_series(1, 400000) n;"
    folder.write("0001_person", f"CREATE TABLE person (id int, name text); {rows}")
    apply(db.url, folder.read())
    folder.write("0002_index", INDEX)
    listening = Listening(lambda: None)
    apply(db.url, folder.read(), observer=listening)
    told = " ".join(doing for _, doing, _ in listening.told)
    assert re.search(r"building index: \w[\w ]*, \d+ % of \d+ (rows|blocks)", told), told


@pytest.mark.usefixtures("at_once")
def test_a_file_in_a_transaction_tells_what_holds_it_up(db: Database, folder: FolderBuilder) -> None:
    folder.write("0001_person", "CREATE TABLE person (id int, name text);")
    apply(db.url, folder.read())
    folder.write("0002_age", "-- pipeline: lock-timeout=1min\nALTER TABLE person ADD COLUMN age int;")
    with db.connect() as other:
        other.execute("BEGIN; SELECT * FROM person")
        listening = Listening(lambda: other.execute("COMMIT"))
        apply(db.url, folder.read(), observer=listening)
    assert listening.told[0][0] == "0002_age"
    assert re.match(rf"running, held up by backend \d+ \({OWNER}, idle in transaction\)", listening.told[0][1])


@pytest.mark.usefixtures("at_once")
def test_what_cannot_be_seen_disturbs_nothing(
    db: Database, folder: FolderBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("0001_person", "CREATE TABLE person (id int, name text);")
    apply(db.url, folder.read())
    folder.write("0002_age", "-- pipeline: lock-timeout=1min\nALTER TABLE person ADD COLUMN age int;")
    unreachable = db.url.copy_with(port=1)
    monkeypatch.setattr(heartbeat, "look", lambda _, look=heartbeat.look: look(unreachable))
    with db.connect() as other:
        other.execute("BEGIN; SELECT * FROM person")
        listening = Listening(lambda: other.execute("COMMIT"))
        report = apply(db.url, folder.read(), observer=listening)
    assert len(report.applied) == 1
    assert "cannot be seen: no connection to" in listening.told[0][1]


@pytest.mark.usefixtures("at_once")
def test_behind_neons_proxy_the_backend_is_found_by_its_lock(project: dict[str, Any], folder: FolderBuilder) -> None:
    url = DatabaseURL.parse(uri(project))
    folder.write("0001_person", "CREATE TABLE person (id int, name text);")
    apply(url, folder.read())
    folder.write("0002_index", INDEX)
    with Database(url).connect() as other:
        other.execute("BEGIN; INSERT INTO person VALUES (1, 'a')")
        listening = Listening(lambda: other.execute("COMMIT"))
        apply(url, folder.read(), observer=listening)
    assert listening.told[0][1].startswith(
        "waiting for writers before build, 0 % of 1 transactions, held up by backend "
    )
