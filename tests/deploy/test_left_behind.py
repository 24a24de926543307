"""What a statement outside a transaction leaves when it is cut off: dropped where that is quick, and named in any case."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.deploy import apply, concurrent
from pipeline.deploy.locking import Deadlines
from pipeline.deploy.observer import Observer
from pipeline.deploy.rolling_back import rollback
from pipeline.deploy.signals import as_exceptions
from pipeline.deploy.status import read_status
from pipeline.deploy.target import Target
from pipeline.errors import DatabaseFailed, Interrupted, MigrationFailed, PipelineError
from tests.support.counting_proxy import CountingProxy
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

NOT_TRANSACTIONAL = "-- transactional: false\n"
TABLE = "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'one');"
UNIQUE = f"{NOT_TRANSACTIONAL}CREATE UNIQUE INDEX CONCURRENTLY t_a_key ON t (a);"
STATE = "SELECT indisvalid, indisready FROM pg_index WHERE indexrelid = to_regclass('t_a_key')"
WAITS = "SELECT count(*) FROM pg_locks WHERE locktype = 'virtualxid' AND NOT granted"


@pytest.fixture
def table(db: Database, folder: FolderBuilder) -> Database:
    """The table is there; the second file is still to be written."""
    apply(db.url, folder.write("0001_t", TABLE, "DROP TABLE t;").read())
    return db


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be dropped here never can: to wait for it shows no more."""
    monkeypatch.setattr(concurrent, "AFTER_SIGNAL", 0.3)
    monkeypatch.setattr(concurrent, "AFTER_ERROR", 0.3)


@contextmanager
def snapshot(db: Database, sql: str = "SELECT 1") -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A transaction with an old snapshot, open while inside; what it reads, it holds a lock on."""
    with db.connect() as other:
        other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        other.execute(sql.encode())
        yield other


@contextmanager
def when(condition: Callable[[], object], act: Callable[[], object]) -> Iterator[None]:
    """Do something as soon as the condition holds, while what is inside goes on."""

    def run() -> None:
        until(condition)
        act()

    acting = threading.Thread(target=run)
    acting.start()
    try:
        yield
    finally:
        acting.join()


def interrupted(db: Database, run: Callable[[], object], state: Callable[[], object] | None = None) -> Interrupted:
    """Run something, and press Ctrl-C once it waits for somebody else (and `state` holds)."""
    waits = state or (lambda: db.value(WAITS) == 1)
    with (
        pytest.raises(Interrupted) as caught,
        when(waits, lambda: os.kill(os.getpid(), signal.SIGINT)),
        as_exceptions(),
    ):
        run()
    return caught.value


def enforced(db: Database) -> bool:
    """Whether the table refuses a row that breaks the unique index."""
    try:
        db.run("INSERT INTO t VALUES (2, 'two'), (2, 'again')")
    except psycopg.errors.UniqueViolation:
        return True
    db.run("DELETE FROM t WHERE a = 2")
    return False


def test_a_unique_index_that_only_an_old_snapshot_holds_up_is_dropped_on_a_signal(
    table: Database, folder: FolderBuilder
) -> None:
    folder.write("0002_i", UNIQUE)
    with snapshot(table):
        error = interrupted(
            table, lambda: apply(table.url, folder.read()), lambda: table.rows(STATE) == [(False, True)]
        )
    assert "0 of 1 applied in this run; 0002_i is not, and it left nothing behind." in error.message
    assert error.outcome is not None
    assert (error.outcome.stopped_at, error.outcome.left) == ("0002_i", "")
    assert table.rows(STATE) == []
    assert not enforced(table)


def test_a_unique_index_that_cannot_be_dropped_is_named_with_what_it_does_and_how_to_end_it(
    table: Database, folder: FolderBuilder
) -> None:
    folder.write("0002_i", UNIQUE)
    with snapshot(table) as old, snapshot(table) as reader:
        # the build waits for the first; the drop waits for the second, which has read the table by then
        def state() -> bool:
            if table.rows(STATE) != [(False, True)]:
                return False
            reader.execute("SELECT count(*) FROM t")
            return True

        error = interrupted(table, lambda: apply(table.url, folder.read()), state)
        assert "0002_i is not, and the next run looks at what it may have left." in error.message
        assert (
            "The index t_a_key is left INVALID: no query uses it, and it is enforced all the same: it refuses rows."
            in error.message
        )
        assert "DROP INDEX CONCURRENTLY t_a_key;" in error.message
        assert enforced(table)
        old.execute("ROLLBACK")
    assert [each.id for each in apply(table.url, folder.read()).applied] == ["0002_i"]
    assert table.rows(STATE) == [(True, True)]


def test_a_second_signal_ends_the_try_and_still_names_what_may_be_left(
    table: Database, folder: FolderBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrent, "AFTER_SIGNAL", 60.0)
    folder.write("0002_i", UNIQUE)
    dropping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DROP INDEX%' AND wait_event = 'virtualxid'"
    with (
        snapshot(table, "SELECT count(*) FROM t"),
        when(lambda: table.value(dropping) == 1, lambda: os.kill(os.getpid(), signal.SIGTERM)),
    ):
        error = interrupted(table, lambda: apply(table.url, folder.read()))
    assert error.exit_status == 143
    assert (
        "It may have left the index t_a_key, which is INVALID then, and is enforced: it refuses rows." in error.message
    )
    assert "DROP INDEX CONCURRENTLY t_a_key;" in error.message


def test_an_index_that_a_failed_statement_left_is_named_after_a_bounded_try(
    table: Database, folder: FolderBuilder
) -> None:
    folder.write("0002_i", f"-- pipeline: statement-timeout=500ms\n{UNIQUE}")
    with snapshot(table, "SELECT count(*) FROM t"):
        with pytest.raises(MigrationFailed, match="statement timeout") as caught:
            apply(table.url, folder.read())
        assert "The index t_a_key is left INVALID" in caught.value.message
        assert "DROP INDEX CONCURRENTLY t_a_key;" in caught.value.message
    assert [each.id for each in apply(table.url, folder.read()).applied] == ["0002_i"]


@pytest.mark.parametrize("holds_up_the_drop", [False, True])
def test_after_a_lost_connection_another_one_drops_the_index_or_names_it(
    table: Database, folder: FolderBuilder, holds_up_the_drop: bool
) -> None:
    folder.write("0002_i", UNIQUE)
    with snapshot(table) as old, CountingProxy(table.url.host, table.url.port or 5432) as proxy:

        def state() -> bool:
            if table.rows(STATE) != [(False, True)]:
                return False
            if holds_up_the_drop:
                old.execute("SELECT count(*) FROM t")
            return True

        def cut() -> None:
            proxy.links[0].drop()

        with when(state, cut), pytest.raises(DatabaseFailed, match="was lost") as caught:
            apply(table.url.copy_with(host="127.0.0.1", port=proxy.port), folder.read())
    if holds_up_the_drop:
        assert "The index t_a_key is left INVALID" in caught.value.message
    else:
        assert "0002_i is not, and it left nothing behind." in caught.value.message
        assert table.rows(STATE) == []


def test_without_another_connection_the_worst_is_said(table: Database, folder: FolderBuilder) -> None:
    folder.write("0002_i", UNIQUE)
    with snapshot(table), CountingProxy(table.url.host, table.url.port or 5432) as proxy:

        def cut_off() -> None:
            proxy.before = lambda link, _: link.drop()
            proxy.links[0].drop()

        url = table.url.copy_with(host="127.0.0.1", port=proxy.port)
        with (
            when(lambda: table.value(WAITS) == 1, cut_off),
            pytest.raises(DatabaseFailed, match="no new one") as caught,
        ):
            apply(url, folder.read(), deadlines=Deadlines(connect=0.3))
    assert "It may have left the index t_a_key, which is INVALID then, and is enforced" in caught.value.message


@pytest.mark.parametrize("holds_up_the_drop", [False, True])
def test_the_copies_of_an_interrupted_reindex_are_dropped_or_named(
    table: Database, superuser: Database, folder: FolderBuilder, holds_up_the_drop: bool
) -> None:
    table.run("CREATE UNIQUE INDEX t_a_key ON t (a)")
    folder.write("0002_i", f"{NOT_TRANSACTIONAL}REINDEX TABLE CONCURRENTLY t;")
    with snapshot(table, "SELECT count(*) FROM t" if holds_up_the_drop else "SELECT 1"):
        error = interrupted(table, lambda: apply(table.url, folder.read()))
    copies = "SELECT count(*) FROM pg_class WHERE relname LIKE 't_a_key_cc%'"
    if holds_up_the_drop:
        assert "The index t_a_key_ccnew is left INVALID" in error.message
        assert "DROP INDEX CONCURRENTLY t_a_key_ccnew;" in error.message
        assert table.value(copies) == 1
    else:
        assert "t_a_key" not in error.message
        assert table.value(copies) == 0
    toast = superuser.value(
        "SELECT count(*) FROM pg_index i JOIN pg_class t ON t.reltoastrelid = i.indrelid "
        "WHERE t.oid = 't'::regclass AND NOT i.indisvalid"
    )
    assert ("only a superuser can drop it" in error.message) == (toast == 1)
    assert [each.id for each in apply(table.url, folder.read()).applied] == ["0002_i"]
    assert table.value(copies) == 0


def test_an_index_that_is_half_dropped_is_named_and_may_be_had_back(table: Database, folder: FolderBuilder) -> None:
    table.run("CREATE UNIQUE INDEX t_a_key ON t (a)")
    folder.write("0002_i", f"{NOT_TRANSACTIONAL}DROP INDEX CONCURRENTLY t_a_key;")
    with snapshot(table, "SELECT count(*) FROM t"):
        error = interrupted(table, lambda: apply(table.url, folder.read()))
        assert "The index t_a_key is left INVALID: no query uses it, and it is enforced all the same" in error.message
        assert enforced(table)
        assert "The next run drops the rest; by hand: DROP INDEX CONCURRENTLY t_a_key;" in error.message
    assert "To have it back instead: REINDEX INDEX t_a_key;" in error.message
    table.run("REINDEX INDEX t_a_key")
    assert table.rows(STATE) == [(True, True)]
    assert [each.id for each in apply(table.url, folder.read()).applied] == ["0002_i"]
    assert table.rows(STATE) == []


def test_an_interrupted_vacuum_leaves_nothing(table: Database, folder: FolderBuilder) -> None:
    folder.write("0002_v", f"{NOT_TRANSACTIONAL}VACUUM t;")
    with table.connect() as other:
        other.execute("BEGIN; LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE")
        error = interrupted(
            table,
            lambda: apply(table.url, folder.read()),
            lambda: table.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 1,
        )
    assert "0002_v is not, and it left nothing behind." in error.message


def test_an_invalid_index_of_before_is_named_as_such(
    table: Database, superuser: Database, folder: FolderBuilder
) -> None:
    table.run("CREATE UNIQUE INDEX t_a_key ON t (a)")
    superuser.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_a_key'::regclass")
    folder.write("0002_i", UNIQUE)
    for _ in range(2):
        with pytest.raises(MigrationFailed, match="already exists") as caught:
            apply(table.url, folder.read())
        assert "It was there before the file began, so no run takes it away" in caught.value.message
        assert caught.value.remedy == "End that first, then run it again."
    assert table.rows(STATE) == [(False, True)]


def test_a_file_that_was_begun_and_is_not_here_any_more_is_told_of(table: Database, folder: FolderBuilder) -> None:
    folder.write("0002_i", UNIQUE)
    with snapshot(table, "SELECT count(*) FROM t"):
        interrupted(table, lambda: apply(table.url, folder.read()))
    (folder.path / "0002_i.sql").unlink()
    heard: list[str] = []

    class Listening(Observer):
        def note(self, text: str) -> None:
            heard.append(text)

    apply(table.url, folder.read(), observer=Listening())
    assert [text for text in heard if text.startswith("0002_i was begun here") and "INVALID index" in text] == heard
    assert len(heard) == 1
    seen = read_status(table.url, folder.read(), target=Target(), observer=Observer())
    assert seen.begun_elsewhere == ("0002_i",)


@pytest.mark.parametrize("back", [False, True])
def test_a_signal_while_leftovers_of_an_earlier_run_are_taken_away_names_them(
    table: Database, folder: FolderBuilder, back: bool
) -> None:
    if back:
        folder.write("0002_i", "CREATE UNIQUE INDEX t_a_key ON t (a);", "DROP INDEX t_a_key;")
        folder.write("0003_no_i", f"{NOT_TRANSACTIONAL}DROP INDEX CONCURRENTLY t_a_key;", UNIQUE)
        apply(table.url, folder.read())
    else:
        folder.write("0002_i", UNIQUE)

    def run() -> object:
        return rollback(table.url, folder.read(), to="0002") if back else apply(table.url, folder.read())

    with snapshot(table, "SELECT count(*) FROM t"):
        interrupted(table, run)
        error = interrupted(table, run)  # it waits for the drop
        assert "The index t_a_key is left INVALID" in error.message
        assert "The next run drops it and builds it again; by hand: DROP INDEX CONCURRENTLY t_a_key;" in error.message
    run()
    assert table.rows(STATE) == [(True, True)]


# -- rollbacks ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def index_to_build_again(table: Database, folder: FolderBuilder) -> Database:
    """An index was dropped by a file whose rollback builds it again."""
    folder.write("0002_i", "CREATE UNIQUE INDEX t_a_key ON t (a);", "DROP INDEX t_a_key;")
    folder.write("0003_no_i", f"{NOT_TRANSACTIONAL}DROP INDEX CONCURRENTLY t_a_key;", UNIQUE)
    apply(table.url, folder.read())
    return table


def test_a_rollback_that_cannot_build_its_index_drops_what_it_left_and_works_once_it_can(
    index_to_build_again: Database, folder: FolderBuilder
) -> None:
    db = index_to_build_again
    db.run("INSERT INTO t VALUES (1, 'again')")
    with pytest.raises(MigrationFailed, match="could not create unique index"):
        rollback(db.url, folder.read(), to="0002")
    assert db.rows(STATE) == []
    db.run("DELETE FROM t WHERE b = 'again'")
    rollback(db.url, folder.read(), to="0002")
    assert db.rows(STATE) == [(True, True)]
    assert db.applied() == ["0001_t", "0002_i"]


def test_a_rollback_that_was_interrupted_names_its_index_and_the_next_one_builds_it(
    index_to_build_again: Database, folder: FolderBuilder
) -> None:
    db = index_to_build_again
    with snapshot(db, "SELECT count(*) FROM t"):
        error = interrupted(db, lambda: rollback(db.url, folder.read(), to="0002"))
    assert "0 of 1 rolled back in this run." in error.message
    assert "The index t_a_key is left INVALID" in error.message
    rollback(db.url, folder.read(), to="0002")
    assert db.rows(STATE) == [(True, True)]


def test_a_rollback_whose_connection_is_lost_says_what_it_may_have_left(
    index_to_build_again: Database, folder: FolderBuilder
) -> None:
    db = index_to_build_again
    with snapshot(db, "SELECT count(*) FROM t"), CountingProxy(db.url.host, db.url.port or 5432) as proxy:

        def cut() -> None:
            proxy.links[0].drop()

        url = db.url.copy_with(host="127.0.0.1", port=proxy.port)
        with when(lambda: db.value(WAITS) == 1, cut), pytest.raises(DatabaseFailed) as caught:
            rollback(url, folder.read(), to="0002")
    assert "It may have left the index t_a_key" in caught.value.message


def test_a_rollback_whose_index_is_there_already_is_recorded_and_another_index_of_its_name_stops_it(
    index_to_build_again: Database, folder: FolderBuilder
) -> None:
    db = index_to_build_again
    db.run("CREATE INDEX t_a_key ON t (b)")
    with pytest.raises(PipelineError, match="cannot be proven"):
        rollback(db.url, folder.read(), to="0002")
    db.run("DROP INDEX t_a_key; CREATE UNIQUE INDEX t_a_key ON t (a)")
    rollback(db.url, folder.read(), to="0002")
    assert db.applied() == ["0001_t", "0002_i"]
