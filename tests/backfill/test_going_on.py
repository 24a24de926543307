"""A backfill beside others: deploys, services, vacuum, another run; and what people say to it."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING

import pytest

from pipeline.backfill.pausing import Limits
from pipeline.deploy import apply
from pipeline.deploy.backfilling import say_of_backfills
from pipeline.deploy.observer import Observer
from pipeline.deploy.status import read_status
from pipeline.deploy.target import Target
from pipeline.errors import InvalidPlan, MigrationFileError, Refused, UsageError
from tests.support.backfills import UPDATE, checkout_of, go_on, head, items, registered, working
from tests.support.until import until
from verbs.backfill import show_backfilled

if TYPE_CHECKING:
    from pipeline.backfill.working import Stand
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

ONCE = "SELECT done, count(*) FROM item GROUP BY 1 ORDER BY 1"


class Listening(Observer):
    """Keeps what is told, and may do something at the first word."""

    def __init__(self, at_first: object = None) -> None:
        self.stands: list[Stand] = []
        self.notes: list[str] = []
        self._at_first = at_first

    def backfilling(self, stand: Stand) -> None:
        self.stands.append(stand)
        if len(self.stands) == 1 and callable(self._at_first):
            self._at_first()

    def note(self, text: str) -> None:
        self.notes.append(text)

    @property
    def waits(self) -> set[str]:
        return {stand.why for stand in self.stands if stand.why}


def test_a_deploy_registers_and_later_files_do_not_wait(db: Database, folder: FolderBuilder) -> None:
    items(folder, 100)
    folder.write("0003_done", head("id") + UPDATE)
    folder.write("0004_else", "CREATE TABLE other ();")
    listening = Listening()
    report = apply(db.url, folder.read(), backfill_seconds=0, observer=listening)
    assert [each.id for each in report.applied] == ["0001_item", "0002_items", "0003_done", "0004_else"]
    assert [(each.state, each.percent) for each in report.backfills] == [("registered", 0)]
    assert listening.notes == ["0003_done is registered: `./inv backfill` begins with it"]
    assert go_on(db.url, folder).is_complete
    assert db.rows(ONCE) == [(1, 100)]


def test_who_depends_on_it_is_refused_with_the_percentage_until_it_is_complete(
    db: Database, folder: FolderBuilder
) -> None:
    items(folder, 100)
    folder.write("0003_done", head("id") + UPDATE)
    folder.write("0004_else", "-- depends: 0002_items\nCREATE TABLE other ();")
    folder.write("0005_strict", "-- depends: 0003_done 0004_else\nALTER TABLE item ADD CHECK (done = 1);")
    folder.write("0006_last", "CREATE TABLE last ();")
    with pytest.raises(InvalidPlan, match="it depends on 0003_done, whose backfill is 0 % done") as error:
        apply(db.url, folder.read(), backfill_seconds=0)
    assert error.value.exit_code == 4
    assert "4 of 6 applied in this run (through 0004_else); nothing of 0005_strict is." in error.value.message
    assert db.applied() == ["0001_item", "0002_items", "0003_done", "0004_else"]
    seen = read_status(db.url, folder.read(), target=Target(), observer=Observer())
    assert seen.warnings == ("a deploy would stop at 0005_strict: it depends on 0003_done, which is 0 % done",)
    with pytest.raises(InvalidPlan, match="0 of 2 applied in this run"):
        apply(db.url, folder.read())
    go_on(db.url, folder)
    assert [each.id for each in apply(db.url, folder.read()).applied] == ["0005_strict", "0006_last"]


def test_one_that_was_recorded_without_being_run_holds_back_who_depends_on_it_while_rows_are_left(
    db: Database, folder: FolderBuilder
) -> None:
    items(folder, 10)
    registered(db.url, folder)
    db.run("DROP TABLE migration_history.backfills")  # as after `baseline`, or stock yoyo
    folder.write("0004_strict", "-- depends: 0003_done\nALTER TABLE item ADD CHECK (done = 1);")
    with pytest.raises(InvalidPlan, match="0003_done, which is recorded here, and 10 rows of it are left"):
        apply(db.url, folder.read())
    db.run("UPDATE item SET done = 1")
    assert [each.id for each in apply(db.url, folder.read()).applied] == ["0004_strict"]


def test_a_local_run_finishes_what_an_interrupted_one_left_and_then_whoever_depends_on_it(
    db: Database, folder: FolderBuilder
) -> None:
    items(folder, 100)
    registered(db.url, folder)
    folder.write("0004_behind", "-- depends: 0003_done\nCREATE TABLE behind ();")
    local = Target("local", local_only=True)
    report = apply(db.url, folder.read(), target=local, verb="migrate")
    assert [each.id for each in report.applied] == ["0004_behind"]
    assert db.rows(ONCE) == [(1, 100)]


def test_a_run_stops_when_its_time_is_over_and_the_next_goes_on(db: Database, folder: FolderBuilder) -> None:
    items(folder, 400_000)
    registered(db.url, folder)
    found = go_on(db.url, folder, seconds=0.3)
    assert not found.is_complete
    (backfill,) = found.backfills
    assert 0 < backfill.visited < 400_000
    assert backfill.percent < 100
    assert found.worked_on[0].rows_per_second is not None
    assert found.worked_on[0].seconds is not None
    assert go_on(db.url, folder).is_complete
    assert db.rows(ONCE) == [(1, 400_000)]


def test_whoever_says_pause_stops_the_run_and_resume_lets_it_go_on(db: Database, folder: FolderBuilder) -> None:
    items(folder, 5000)
    registered(db.url, folder)
    checkout = checkout_of(db.url, folder)
    with db.connect() as holder:
        holder.execute("BEGIN; SELECT 1 FROM item WHERE id = 5000 FOR UPDATE")  # so that it does not come to its end
        with working(db.url, folder) as process:
            until(lambda: db.value("SELECT visited > 0 FROM migration_history.backfills"))
            assert [each.state for each in say_of_backfills(checkout, "pause", only="0003").backfills] == ["paused"]
            assert process.end() == (0, "open")
    assert db.value("SELECT visited < 5000 FROM migration_history.backfills")
    assert not go_on(db.url, folder).is_complete  # which changes nothing while it is paused
    say_of_backfills(checkout, "resume", only="0003_done")
    assert go_on(db.url, folder).is_complete
    assert db.rows(ONCE) == [(1, 5000)]


def test_what_is_aborted_is_not_gone_on_with_and_holds_back_who_depends_on_it(
    db: Database, folder: FolderBuilder, capsys: pytest.CaptureFixture[str]
) -> None:
    items(folder, 10)
    registered(db.url, folder)
    checkout = checkout_of(db.url, folder)
    assert say_of_backfills(checkout, "abort").is_complete  # nothing of it is to be done by anybody
    found = go_on(db.url, folder)
    assert found.worked_on == ()
    show_backfilled(found)
    assert "none to be gone on with, 1 given up: --resume takes that back" in capsys.readouterr().out
    folder.write("0004_strict", "-- depends: 0003_done\nALTER TABLE item ADD CHECK (done = 1);")
    with pytest.raises(InvalidPlan, match="0 % done and aborted") as error:
        apply(db.url, folder.read())
    assert "--resume" in error.value.remedy
    with pytest.raises(UsageError, match="no backfill is registered under 0004"):
        say_of_backfills(checkout, "resume", only="0004")


def test_of_two_runs_one_works_and_the_other_says_so(db: Database, folder: FolderBuilder) -> None:
    items(folder, 10)
    registered(db.url, folder)
    with db.connect() as row:
        row.execute("BEGIN; SELECT 1 FROM item WHERE id = 5 FOR UPDATE")  # so that the first run waits
        with working(db.url, folder) as process:
            until(lambda: db.value("SELECT why FROM migration_history.backfills"))
            with pytest.raises(Refused, match=r"db-pipeline backfill \(.*\) is at work on the backfills|, backend \d+"):
                go_on(db.url, folder)
            # a deploy goes on meanwhile, and leaves what it registers to the run that works
            folder.write("0004_more", head("id") + UPDATE.replace("done = done + 1", "done = done"))
            listening = Listening()
            apply(db.url, folder.read(), backfill_seconds=30, observer=listening)
            assert "is at work on backfills, and comes to it" in listening.notes[0]
            row.execute("COMMIT")
            assert process.end() == (0, "complete")
    assert db.rows(ONCE) == [(1, 10)]


def test_a_row_that_somebody_locks_for_long_is_waited_for_and_nobody_waits_for_us(
    db: Database, folder: FolderBuilder
) -> None:
    items(folder, 1000)
    registered(db.url, folder)
    with db.connect() as holder, db.connect() as other:
        holder.execute("BEGIN; SELECT 1 FROM item WHERE id = 700 FOR UPDATE")
        with working(db.url, folder) as process:
            locked = "a row, or the table, is locked by somebody else"
            until(lambda: db.value("SELECT why FROM migration_history.backfills") == locked)
            # all before it are done, after as many retries as it takes to halve the step to one row
            until(lambda: db.value("SELECT position FROM migration_history.backfills") == ["699"])
            other.execute("SET lock_timeout = '500ms'")
            other.execute("UPDATE item SET done = done WHERE id IN (SELECT generate_series(1, 699))")
            holder.execute("COMMIT")
            assert process.end() == (0, "complete")
    assert db.rows(ONCE) == [(1, 1000)]


def test_a_writer_waits_for_a_step_and_not_for_a_batch(db: Database, folder: FolderBuilder) -> None:
    """The benchmark has the figures, of a machine with nothing else to do: here the bound is generous."""
    items(folder, 120_000, key="id int PRIMARY KEY, other int", rows="n, 0")
    registered(db.url, folder)
    chance = random.Random(5)  # noqa: S311 - ids are no secret
    with db.connect() as writer, working(db.url, folder) as process:
        writer.execute("SET lock_timeout = '300ms'")
        number = 0
        while not db.value("SELECT state = 'complete' FROM migration_history.backfills"):
            number += 1
            writer.execute("UPDATE item SET other = other + 1 WHERE id = %s", (chance.randint(1, 120_000),))
        assert process.end() == (0, "complete")
    assert db.value("SELECT sum(other) FROM item") == number > 0
    assert db.rows(ONCE) == [(1, 120_000)]


def test_it_rests_while_autovacuum_is_on_the_table(db: Database, folder: FolderBuilder, superuser: Database) -> None:
    items(folder, 20_000)
    registered(db.url, folder)
    slow = "autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_threshold = 0"
    superuser.run("ALTER SYSTEM SET autovacuum_naptime = '1s'")
    superuser.run("SELECT pg_reload_conf()")
    try:
        db.run(f"ALTER TABLE item SET ({slow}, autovacuum_vacuum_scale_factor = 0)")
        db.run("UPDATE item SET done = done")
        until(lambda: superuser.value("SELECT count(*) FROM pg_stat_progress_vacuum") == 1)
        listening = Listening()
        found = go_on(db.url, folder, listening, seconds=1)
        assert listening.waits == {"autovacuum is on item"}
        assert not found.is_complete or found.backfills[0].visited == 20_000
    finally:
        db.run("ALTER TABLE item SET (autovacuum_enabled = off)")
        superuser.run("ALTER SYSTEM RESET autovacuum_naptime")
        superuser.run("SELECT pg_reload_conf()")


def test_a_budget_of_wal_makes_it_rest_and_stop(db: Database, folder: FolderBuilder) -> None:
    items(folder, 30_000)
    registered(db.url, folder)
    listening = Listening()
    found = go_on(db.url, folder, listening, limits=Limits(wal_rate=0.5, wal_total=1), seconds=20)
    (backfill,) = found.backfills
    assert not found.is_complete
    assert backfill.wal_bytes >= 1_000_000
    assert "0.5 MB of WAL a second are used up" in listening.waits
    assert go_on(db.url, folder).is_complete


def test_a_signal_ends_it_with_where_it_stands(db: Database, folder: FolderBuilder) -> None:
    items(folder, 400_000)
    registered(db.url, folder)
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        with working(db.url, folder) as process:
            before = db.value("SELECT visited FROM migration_history.backfills")
            until(lambda before=before: db.value("SELECT visited FROM migration_history.backfills") != before)  # type: ignore[misc]
            process.send(number)
            ended = process.end()
        assert ended is not None
        assert ended[0] == code
        assert ended[1].startswith("interrupted; ")
        assert "every batch that was committed is kept with its position" in ended[1]
    assert go_on(db.url, folder).is_complete
    assert db.rows(ONCE) == [(1, 400_000)]


def test_a_file_that_was_edited_or_is_missing_is_not_gone_on_with(db: Database, folder: FolderBuilder) -> None:
    items(folder, 10)
    registered(db.url, folder)
    text = (folder.path / "0003_done.sql").read_text()
    folder.write("0003_done", text.replace("done + 1", "done + 2"))
    with pytest.raises(MigrationFileError, match="it was edited after its backfill was registered"):
        go_on(db.url, folder)
    (folder.path / "0003_done.sql").unlink()
    with pytest.raises(MigrationFileError, match="is not complete, and the file is missing"):
        go_on(db.url, folder)
    assert db.rows(ONCE) == [(0, 10)]


def test_nulls_deletes_and_inserts_meanwhile_are_no_matter(db: Database, folder: FolderBuilder) -> None:
    items(folder, 20_000, key="id int PRIMARY KEY, other int", rows="n * 2, NULLIF(n % 2, 0)")
    db_writer = "INSERT INTO item VALUES ({odd}, NULL, 1); DELETE FROM item WHERE id = {even}"
    registered(db.url, folder)
    with db.connect() as writer, working(db.url, folder) as process:
        for number in range(1, 301):  # as one writes who has the trigger of the expand step
            writer.execute(db_writer.format(odd=number * 132 - 1, even=number * 128))
        assert process.end() == (0, "complete")
    assert db.rows(ONCE) == [(1, 20_000)]
