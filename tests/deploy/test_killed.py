"""Reliability bar (a) and (d): whatever happens to a deploy, at whatever instant, a rerun ends where a clean run ends.

Each message that the deploy sends is a boundary. At each of them, before the server sees the message and after that, the
deploy is killed, its backend is terminated, or its connection is cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.deploy.locking import Deadlines
from pipeline.errors import DatabaseFailed
from tests.support.counting_proxy import CountingProxy
from tests.support.sample import SAMPLE_IDS, Database
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbclient.url import DatabaseURL
    from tests.support.counting_proxy import Link
    from tests.support.deploy_process import DeployProcess, Processes
    from tests.support.folders import FolderBuilder
    from tests.support.server import PostgresServer

# Of the sample from zero: start-up, two of SCRAM, and one for each query; the good-bye included. A change of the runner
# that adds a message is seen here first.
MOST_BOUNDARIES = 15
IMPATIENT = Deadlines(connect=10, lock=30)


def through(proxy: CountingProxy, url: DatabaseURL) -> DatabaseURL:
    return url.copy_with(host="127.0.0.1", port=proxy.port)


def boundaries(server: PostgresServer, sample: FolderBuilder) -> int:
    """How many messages a clean run sends."""
    url = server.create_database()
    kinds: list[bytes] = []
    with CountingProxy(url.host, url.port or 5432) as proxy:
        proxy.sent = lambda _, message: kinds.append(message[:1])
        apply(through(proxy, url), sample.read())
        until(lambda: kinds[-1:] == [b"X"])  # the good-bye is still on its way when the client has gone
    server.drop_database(url)
    return proxy.messages


def clean_picture(server: PostgresServer, sample: FolderBuilder) -> dict[str, object]:
    url = server.create_database()
    apply(url, sample.read())
    picture = Database(url).picture()
    server.drop_database(url)
    return picture


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("fault", ["killed", "terminated", "cut"])
def test_a_fault_at_any_message_is_healed_by_a_rerun(
    server: PostgresServer,
    sample: FolderBuilder,
    processes: Processes,
    fault: str,
    moment: str,
    record_property: Callable[[str, object], None],
) -> None:
    expected = clean_picture(server, sample)
    count = boundaries(server, sample)
    assert len(SAMPLE_IDS) < count <= MOST_BOUNDARIES
    record_property("faults tried", count)
    for boundary in range(1, count + 1):
        url = server.create_database()
        db = Database(url)
        with CountingProxy(url.host, url.port or 5432) as proxy:
            hook = _Fault(fault, boundary, server.superuser)
            setattr(proxy, moment, hook)
            if fault == "killed":
                hook.process = processes.start(through(proxy, url), sample.path)
                hook.process.outcome()
            else:
                _deploy_and_expect_truth(through(proxy, url), sample, db)
            until(lambda hook=hook: hook.fired)  # type: ignore[misc]  # the good-bye may arrive after its client has gone
        report = apply(url, sample.read(), deadlines=IMPATIENT)
        assert db.picture() == expected, f"{fault} {moment} message {boundary}"
        assert report.already + len(report.applied) == len(SAMPLE_IDS)
        server.drop_database(url)


class _Fault:
    """What happens at one boundary, once."""

    def __init__(self, kind: str, boundary: int, superuser: DatabaseURL) -> None:
        self.kind = kind
        self.boundary = boundary
        self.superuser = Database(superuser)
        self.process: DeployProcess | None = None
        self.fired = False

    def __call__(self, link: Link, number: int) -> None:
        if number != self.boundary or self.fired:
            return
        self.fired = True
        if self.kind == "killed":
            # the process is known as soon as start() returns, which may be after its first message
            until(lambda: self.process is not None)
            assert self.process is not None
            self.process.kill()
        elif self.kind == "terminated" and link.backend_pid:
            self.superuser.value(f"SELECT pg_terminate_backend({link.backend_pid})")
        else:
            link.drop()


def _deploy_and_expect_truth(url: DatabaseURL, sample: FolderBuilder, db: Database) -> None:
    """A deploy that loses its connection either finds out that all is done, or says truly what is applied."""
    try:
        apply(url, sample.read(), deadlines=IMPATIENT)
    except DatabaseFailed as error:
        for count in range(len(SAMPLE_IDS) + 1):
            if f"{count} of {len(SAMPLE_IDS)} applied in this run" in error.message and "at least" not in error.message:
                assert len(db.applied()) == count
    else:
        assert db.applied() == SAMPLE_IDS


@pytest.mark.parametrize("fault", ["killed", "terminated", "cut"])
def test_a_fault_while_a_statement_of_a_batch_waits_for_a_lock_is_healed_by_a_rerun(
    db: Database, server: PostgresServer, folder: FolderBuilder, processes: Processes, fault: str
) -> None:
    db.run("CREATE TABLE busy ()")
    folder.write("0001_first", "CREATE TABLE first ();")
    folder.write("0002_waits", "-- pipeline: lock-timeout=1min\nCREATE TABLE second (); ALTER TABLE busy ADD a int;")
    folder.write("0003_third", "CREATE TABLE third ();")
    with db.connect() as blocker, CountingProxy(db.url.host, db.url.port or 5432) as proxy:
        blocker.execute("BEGIN; LOCK TABLE busy")
        process = processes.start(through(proxy, db.url), folder.path, lock_wait=30)
        until(lambda: db.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 1)
        _strike(fault, process, proxy, server)
        # the statement stops although nobody reads its answer: it does not wait for the lock to its end
        until(lambda: db.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0)
        blocker.execute("COMMIT")
        outcome = process.outcome()
    assert outcome is None if fault == "killed" else outcome is not None and outcome.exit_code == 5
    if outcome is not None:
        assert "1 of 3 applied in this run (through 0001_first); nothing of 0002_waits is." in outcome.error
    assert db.applied() == ["0001_first"]
    assert db.value("SELECT to_regclass('second')") is None
    assert [each.id for each in apply(db.url, folder.read()).applied] == ["0002_waits", "0003_third"]


@pytest.mark.parametrize("fault", ["killed", "terminated", "cut"])
def test_a_concurrent_index_that_is_cut_off_is_built_again(
    db: Database, server: PostgresServer, sample: FolderBuilder, processes: Processes, fault: str
) -> None:
    expected = clean_picture(server, sample)
    for id_ in SAMPLE_IDS[3:]:
        (sample.path / f"{id_}.sql").rename(sample.path / f"{id_}.later")
    apply(db.url, sample.read())
    for id_ in SAMPLE_IDS[3:]:
        (sample.path / f"{id_}.later").rename(sample.path / f"{id_}.sql")
    with db.connect() as writer, CountingProxy(db.url.host, db.url.port or 5432) as proxy:
        # an open transaction that wrote to the table: the build waits for it, and leaves an INVALID index when it is cut off
        writer.execute("BEGIN; INSERT INTO \"Person\" VALUES (1000, 'open')")
        process = processes.start(through(proxy, db.url), sample.path, lock_wait=30)
        until(lambda: db.value("SELECT count(*) FROM pg_stat_progress_create_index") == 1)
        until(lambda: db.value("SELECT count(*) FROM pg_locks WHERE locktype = 'virtualxid' AND NOT granted") == 1)
        _strike(fault, process, proxy, server)
        until(lambda: db.value("SELECT count(*) FROM pg_stat_progress_create_index") == 0)
        writer.execute("ROLLBACK")
        process.outcome()
    # a process that lives on drops it at once
    left = db.rows("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('\"Person_name_idx\"')")
    assert left == ([(False,)] if fault == "killed" else [])
    assert [each.id for each in apply(db.url, sample.read()).applied] == SAMPLE_IDS[3:]
    assert db.picture() == expected


def _strike(fault: str, process: DeployProcess, proxy: CountingProxy, server: PostgresServer) -> None:
    if fault == "killed":
        process.kill()
    elif fault == "terminated":
        Database(server.superuser).value(f"SELECT pg_terminate_backend({proxy.links[0].backend_pid})")
    else:
        proxy.links[0].drop()


def test_an_answer_to_commit_that_was_lost_is_asked_for_again(
    db: Database, server: PostgresServer, folder: FolderBuilder
) -> None:
    """(d): the COMMIT is done, the deploy has not heard of it, and its connection is gone."""
    folder.write("0001_only", "CREATE TABLE only_one ();")
    last_query = boundaries(server, folder) - 1  # the good-bye is the last message

    def cut(link: Link, number: int) -> None:
        if number == last_query:
            until(lambda: db.applied() == ["0001_only"])
            link.drop()

    with CountingProxy(db.url.host, db.url.port or 5432) as proxy:
        proxy.after = cut
        report = apply(through(proxy, db.url), folder.read(), deadlines=IMPATIENT)
    assert proxy.connections == 2
    assert [each.id for each in report.applied] == ["0001_only"]
