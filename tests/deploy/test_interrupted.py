"""Ctrl-C and SIGTERM: what runs is cancelled on the server, and the report says what is applied."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.deploy.observer import Observer
from pipeline.deploy.rolling_back import rollback
from pipeline.deploy.signals import SignalReceived, as_exceptions
from pipeline.errors import Interrupted
from pipeline.postgres.callbacks import held
from pipeline.postgres.session import Session
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.deploy_process import Processes
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_running_file_and_reports_what_is_applied(
    db: Database, folder: FolderBuilder, processes: Processes, number: int, exit_code: int
) -> None:
    folder.write("0001_first", "CREATE TABLE first ();").write("0002_long", "CREATE TABLE t (); SELECT pg_sleep(300);")
    process = processes.start(db.url, folder.path)
    until(lambda: db.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 1)
    process.kill(number)
    outcome = process.outcome()
    assert outcome is not None
    assert outcome.exit_code == exit_code
    assert "1 of 2 applied in this run (through 0001_first); nothing of 0002_long is." in outcome.error
    # over when the deploy reports, not some time later
    assert db.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 0
    assert db.applied() == ["0001_first"]
    assert db.value("SELECT to_regclass('t')") is None


def test_a_signal_while_waiting_for_the_lock_of_another_deploy_changes_nothing(
    db: Database, folder: FolderBuilder, processes: Processes
) -> None:
    folder.write("0001_long", "SELECT pg_sleep(300);")
    first = processes.start(db.url, folder.path)
    until(lambda: db.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 1)
    second = processes.start(db.url, folder.path)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'db-pipeline deploy'"
    until(lambda: db.value(waiting) == 2)
    second.kill(signal.SIGTERM)
    outcome = second.outcome()
    assert outcome is not None
    assert outcome.exit_code == 143
    first.kill()
    until(lambda: db.value(waiting) == 0)
    assert apply(db.url, folder.write("0001_long", "SELECT 1;").read()).already == 0


@contextmanager
def stalling_after(host: str, port: int, size: int) -> Iterator[tuple[int, threading.Event]]:
    """A port that passes on what a client sends until that is more than `size` bytes, and then takes no more."""
    stalled = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as sockets:

        def answer(client: socket.socket, server: socket.socket) -> None:
            with suppress(OSError):
                while data := server.recv(1 << 16):
                    client.sendall(data)

        def ask() -> None:
            with suppress(OSError):
                client = sockets.enter_context(listener.accept()[0])
                server = sockets.enter_context(socket.create_connection((host, port)))
                sockets.callback(server.shutdown, socket.SHUT_RDWR)  # wakes the thread that reads from it
                threading.Thread(target=answer, args=(client, server), daemon=True).start()
                passed = 0
                while passed <= size and (data := client.recv(1 << 16)):
                    server.sendall(data)
                    passed += len(data)
            stalled.set()

        threading.Thread(target=ask, daemon=True).start()
        yield listener.getsockname()[1], stalled


def test_a_signal_while_a_large_file_is_on_its_way_out_says_that_nothing_of_it_is_applied(
    db: Database, folder: FolderBuilder
) -> None:
    folder.write("0001_first", "CREATE TABLE first ();", "DROP TABLE first;")
    folder.write(
        "0002_large", f"CREATE TABLE large (); -- {'x' * (16 << 20)}", f"-- {'x' * (16 << 20)}\nDROP TABLE large;"
    )

    def press(stalled: threading.Event) -> None:
        stalled.wait(60)
        os.kill(os.getpid(), signal.SIGTERM)

    with stalling_after(db.url.host, db.url.port or 5432, 2 << 20) as (port, stalled):
        pressing = threading.Thread(target=press, args=(stalled,))
        pressing.start()
        with pytest.raises(Interrupted) as caught, as_exceptions():
            apply(db.url.copy_with(host="127.0.0.1", port=port), folder.read())
        pressing.join()
    assert "1 of 2 applied in this run (through 0001_first); nothing of 0002_large is." in caught.value.message
    assert db.applied() == ["0001_first"]
    until(
        lambda: db.value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'db-pipeline%deploy'") == 0
    )
    apply(db.url, folder.read())

    with stalling_after(db.url.host, db.url.port or 5432, 2 << 20) as (port, stalled):
        pressing = threading.Thread(target=press, args=(stalled,))
        pressing.start()
        with pytest.raises(Interrupted, match="0 of 2 rolled back in this run"), as_exceptions():
            rollback(db.url.copy_with(host="127.0.0.1", port=port), folder.read(), to="0000")
        pressing.join()
    assert db.applied() == ["0001_first", "0002_large"]


SLEEPS = "CREATE TABLE t (); DO $$ BEGIN RAISE NOTICE 'asleep'; PERFORM pg_sleep(300); END $$;"


class Impatient(Observer):
    """Presses Ctrl-C when the server says something, and when the deploy does, as often as it is told to."""

    def __init__(self, times: int = 1) -> None:
        self.left = times

    def notice(self, text: str) -> None:
        assert text
        self.press()

    def note(self, text: str) -> None:
        assert text
        self.press()

    def press(self) -> None:
        if self.left:
            self.left -= 1
            os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_while_a_notice_is_being_told_is_not_lost(db: Database, folder: FolderBuilder) -> None:
    folder.write("0001_long", SLEEPS)
    with pytest.raises(Interrupted, match="0 of 1 applied in this run; nothing of 0001_long is"), as_exceptions():
        apply(db.url, folder.read(), observer=Impatient())
    assert db.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 0


def test_a_signal_inside_libpqs_callback_comes_out_when_libpq_has_returned() -> None:
    told: list[str] = []

    def callback() -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        told.append("to its end")
        return "answer"

    with pytest.raises(SignalReceived) as caught:
        _in_signal_handlers(lambda: held(callback))
    assert caught.value.number == signal.SIGTERM
    assert told == ["to its end"]


def _in_signal_handlers(call: Callable[[], object]) -> None:
    with as_exceptions():
        try:
            call()
        except SignalReceived as received:
            caught = received
        else:
            return
    raise caught


def test_a_second_signal_while_the_first_is_dealt_with_ends_without_a_guess(
    db: Database, folder: FolderBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("0001_long", SLEEPS)
    cancel = Session._cancel

    def cancel_and_be_interrupted(session: Session) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        cancel(session)

    monkeypatch.setattr(Session, "_cancel", cancel_and_be_interrupted)
    with pytest.raises(Interrupted, match="is not known") as caught, as_exceptions():
        apply(db.url, folder.read(), observer=Impatient())
    assert caught.value.exit_status == 143
    until(lambda: db.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 0)
    assert db.applied() == []


def test_a_signal_while_a_lost_connection_is_replaced_says_what_is_known(db: Database, folder: FolderBuilder) -> None:
    folder.write("0001_fine", "CREATE TABLE fine ();")
    folder.write("0002_fatal", "SELECT pg_terminate_backend(pg_backend_pid());")
    with pytest.raises(Interrupted, match="was lost") as caught, as_exceptions():
        apply(db.url, folder.read(), observer=Impatient())
    assert "at least 1 of 2 applied in this run (through 0001_fine)." in caught.value.message


def test_a_signal_where_nobody_knows_how_things_stand_is_an_error_of_ours_too() -> None:
    with pytest.raises(Interrupted, match="status") as caught, as_exceptions():
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.exit_status == 143
