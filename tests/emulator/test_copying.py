from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from tests.emulator.urls import uri
from tests.support.until import until

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

Json = dict[str, Any]
WRITERS = 3
SCHEMA = """
    CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL);
    INSERT INTO account SELECT g, 100 FROM generate_series(1, 2000) g;
    CREATE TABLE transfer (writer int, number int, note text, PRIMARY KEY (writer, number));
    CREATE INDEX ON transfer (note);
"""


@dataclass
class Writer:
    """Moves money and writes it down in one transaction, again and again; knows which commits were acknowledged."""

    number: int
    url: str
    acknowledged: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not self.stop.is_set():
                following = self.acknowledged + 1
                with connection.transaction():
                    connection.execute(
                        "UPDATE account SET balance = balance + CASE id WHEN %(a)s THEN -1 ELSE 1 END"
                        " WHERE id IN (%(a)s, %(b)s)",
                        {"a": self.number * 500 + following % 250 + 1, "b": self.number * 500 + following % 250 + 251},
                    )
                    values = [self.number, following, "x" * (following % 900)]
                    connection.execute("INSERT INTO transfer VALUES (%s, %s, %s)", values)
                self.acknowledged = following


def test_a_branch_cut_under_load_is_whole(emulator: Emulator, project: Json) -> None:
    with psycopg.connect(uri(project)) as connection:
        connection.execute(SCHEMA)
    writers = [Writer(number, uri(project)) for number in range(WRITERS)]
    threads = [threading.Thread(target=writer.run) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        for number in range(3):
            begin = [writer.acknowledged for writer in writers]
            until(lambda begin=begin: all(w.acknowledged > b + 20 for w, b in zip(writers, begin, strict=True)))  # type: ignore[misc]
            before = [writer.acknowledged for writer in writers]
            branch = emulator.create_branch(project, name=f"cut-{number}")
            after = [writer.acknowledged for writer in writers]
            check(uri(branch), before, after)
    finally:
        for writer in writers:
            writer.stop.set()
        for thread in threads:
            thread.join(30)


def check(url: str, before: list[int], after: list[int]) -> None:
    """Everything acknowledged before is there, in an unbroken row, and money was neither made nor lost."""
    with psycopg.connect(url) as connection:
        for number, (least, most) in enumerate(zip(before, after, strict=True)):
            query = "SELECT count(*), max(number) FROM transfer WHERE writer = %s"
            found = connection.execute(query, [number]).fetchone()
            assert found is not None
            assert found[0] == found[1], "a gap in what one session committed in order"
            assert least <= found[0] <= most + 1
        assert connection.execute("SELECT sum(balance) FROM account").fetchone() == (200_000,)
        by_table = connection.execute("SELECT count(*), sum(length(note)) FROM transfer").fetchone()
        connection.execute("SET LOCAL enable_seqscan = off")
        by_index = connection.execute("SELECT count(*), sum(length(note)) FROM transfer WHERE note >= ''").fetchone()
        assert by_table == by_index


def test_a_parent_goes_on_while_it_is_copied(emulator: Emulator, project: Json) -> None:
    with psycopg.connect(uri(project)) as connection:
        connection.execute(SCHEMA)
    writer = Writer(0, uri(project))
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        until(lambda: writer.acknowledged > 0)
        before = writer.acknowledged
        emulator.create_branch(project, name="dev")
        assert writer.acknowledged > before
    finally:
        writer.stop.set()
        thread.join(30)


def test_an_open_transaction_does_not_come_along(emulator: Emulator, project: Json) -> None:
    with psycopg.connect(uri(project)) as connection:
        connection.execute("CREATE TABLE item (id int)")
        connection.commit()
        connection.execute("INSERT INTO item VALUES (1)")
        dev = emulator.create_branch(project, name="dev")
        connection.commit()

    with psycopg.connect(uri(dev)) as connection:
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (0,)


def test_a_branch_of_a_branch_of_a_sleeping_parent(emulator: Emulator, project: Json) -> None:
    with psycopg.connect(uri(project)) as connection:
        connection.execute("CREATE TABLE item AS SELECT 1 AS id")
    endpoint = project["endpoints"][0]
    emulator.ok("POST", f"/projects/{endpoint['project_id']}/endpoints/{endpoint['id']}/suspend")
    first = emulator.create_branch(project, name="first")
    second = emulator.create_branch(project, name="second", parent_id=first["branch"]["id"])

    with psycopg.connect(uri(second)) as connection:
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (1,)


def test_a_copy_leaves_no_slot_and_no_backup_behind(emulator: Emulator, project: Json) -> None:
    dev = emulator.create_branch(project, name="dev")

    for url in (uri(project), uri(dev)):
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM pg_replication_slots").fetchone() == (0,)
