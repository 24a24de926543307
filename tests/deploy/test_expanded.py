"""What stands double on an environment, and what it waits for, at each step of an expansion."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from pipeline.backfill.working import Worker
from pipeline.console.documents import status_document
from pipeline.deploy import apply
from pipeline.deploy.batched import batched_of
from pipeline.deploy.observer import Observer
from pipeline.deploy.status import read_status
from pipeline.deploy.target import Target
from pipeline.errors import InvalidPlan
from pipeline.migrations import text_faults
from pipeline.postgres.connect import open_session
from verbs.status import show_status

if TYPE_CHECKING:
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

EXPAND = '-- pipeline: expands="item"."done" into="finished"\nALTER TABLE item ADD COLUMN finished int'
BACKFILL = (
    "-- depends: 0002_finished\n-- pipeline: batched=item key=id\n"
    "-- remaining: SELECT count(*) FROM item WHERE finished IS DISTINCT FROM done\n"
    "UPDATE item SET finished = done WHERE finished IS DISTINCT FROM done AND /* batch */ true"
)
RULES = "-- depends: 0003_backfill\nALTER TABLE item ADD CHECK (finished >= 0) NOT VALID"
CONTRACT = (
    '-- depends: 0003_backfill 0004_rules\n-- pipeline: contracts="item"."done" into="finished"\n'
    "ALTER TABLE item DROP COLUMN done"
)


@pytest.fixture
def example(db: Database, folder: FolderBuilder) -> FolderBuilder:
    folder.write("0001_item", "CREATE TABLE item (id int PRIMARY KEY, done int NOT NULL)")
    apply(db.url, folder.read())
    db.run("INSERT INTO item SELECT n, n FROM generate_series(1, 3000) n")
    return folder


def test_an_expansion_is_listed_from_its_first_file_to_its_last(
    db: Database, example: FolderBuilder, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> list[str]:
        seen = read_status(db.url, example.read(), target=Target(), observer=Observer())
        show_status(seen)
        assert [each.missing for each in status_document(None, seen).expanded] == [
            list(each.missing) for each in seen.expanded
        ]
        return [sentence for each in seen.expanded for sentence in each.missing]

    assert missing() == []
    example.write("0002_finished", EXPAND)
    assert missing() == []
    apply(db.url, example.read())
    capsys.readouterr()
    assert missing() == [
        "the end of every release that uses item.done; then `./inv migrate --name … --contract item.done`"
    ]
    assert "expanded  item.done and item.finished since 20" in capsys.readouterr().out

    example.write("0003_backfill", BACKFILL)
    example.write("0004_rules", RULES)
    example.write("0005_contract", CONTRACT)
    waiting = ["0003_backfill is not deployed", "0004_rules is not deployed", "0005_contract is not deployed"]
    assert missing() == waiting
    with db.connect() as rival, rival.transaction():
        rival.execute("SELECT FROM item WHERE id = 3000 FOR UPDATE")
        with pytest.raises(InvalidPlan, match="0004_rules"):
            apply(db.url, example.read(), backfill_seconds=0.1)
        first, *others = missing()
        assert re.fullmatch("0003_backfill is [0-9]+ % done", first)
        assert others == waiting[1:]
    file = example.read().by_id["0003_backfill"]
    with open_session(db.url, application_name="a test's backfill") as session:
        Worker(session, file, batched_of(file)).work()
    assert missing() == waiting[1:]
    apply(db.url, example.read())
    assert missing() == []
    assert db.rows("SELECT count(*) FROM item WHERE finished = id") == [(3000,)]


def test_what_is_said_twice_in_a_head_is_a_fault(folder: FolderBuilder) -> None:
    folder.write("0001_twice", "-- pipeline: expands=a.b into=c\n-- pipeline: expands=a.d into=e\nSELECT 1")
    (fault,) = text_faults(folder.read().files)
    assert "`expands=` twice" in fault.message
