"""A deploy that was ended half-way goes on with the receipt that it began with, and with nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.errors import DatabaseFailed, Refused
from tests.receipts.production import BASE, PENDING, Production
from tests.support.counting_proxy import CountingProxy
from tests.support.folders import FolderBuilder
from tests.support.sample import Database
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.counting_proxy import Link
    from tests.support.deploy_process import DeployProcess, Processes
    from tests.support.server import PostgresServer


def kill_at(prod: Production, processes: Processes, *, applied: int, locked: str) -> None:
    """Kill a deploy (SIGKILL) that waits for a lock on a table, when so many of its files are applied."""
    before = len(prod.db.applied())
    with prod.db.connect() as holder, holder.transaction():
        holder.execute(f"LOCK TABLE {locked} IN ROW EXCLUSIVE MODE")
        process = processes.start(prod.db.url, prod.folder.path, prod=prod.root)
        waiting = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '{locked}'::regclass"
        until(lambda: len(prod.db.applied()) == before + applied and prod.db.value(waiting) != 0)
        kill(prod, process)
    assert len(prod.db.applied()) == before + applied


def kill(prod: Production, process: DeployProcess) -> None:
    """Kill it, and wait until its backend has noticed."""
    process.kill()
    assert process.outcome() is None
    alive = (
        "SELECT count(*) FROM pg_stat_activity "
        f"WHERE application_name = 'db-pipeline deploy' AND datname = '{prod.db.url.database}'"
    )
    until(lambda: prod.db.value(alive) == 0)


@pytest.fixture
def killed(prod: Production, processes: Processes, server: PostgresServer) -> Production:
    """Two of five files are applied, the second outside a transaction, by a deploy that was killed in the third."""
    copy = server.create_database(prod.db.url)
    prod.measure_on(copy)
    server.drop_database(copy)
    prod.rehearse()
    kill_at(prod, processes, applied=2, locked="pet")
    return prod


def test_a_killed_deploy_goes_on_with_the_same_receipt(killed: Production) -> None:
    report = killed.deploy()
    assert [each.id for each in report.applied] == list(PENDING)[2:]
    [row] = killed.kept()
    assert killed.let_in_by() == dict.fromkeys(BASE, "") | dict.fromkeys(PENDING, row[3])


def test_a_schema_that_was_changed_by_hand_since_the_kill_is_refused(killed: Production) -> None:
    killed.db.run("ALTER TABLE pet ADD COLUMN by_hand int")
    with pytest.raises(Refused, match="somebody changed it by hand"):
        killed.deploy()
    killed.db.run("ALTER TABLE pet DROP COLUMN by_hand")
    assert len(killed.deploy().applied) == 3


def test_a_file_of_the_rest_that_was_edited_is_refused(killed: Production) -> None:
    killed.folder.write("0006_colour", "ALTER TABLE pet ADD COLUMN colour int;")
    with pytest.raises(Refused, match="0006_colour was edited since"):
        killed.deploy()


def test_a_file_of_the_rest_that_is_gone_is_refused(killed: Production) -> None:
    (killed.folder.path / "0007_size.sql").unlink()
    with pytest.raises(Refused, match="0007_size was rehearsed, and was taken away since"):
        killed.deploy()


def test_another_receipt_of_the_same_files_does_not_own_what_is_applied(killed: Production) -> None:
    """Made at the same base before the kill, as by a second run of CI."""
    rows = "SELECT count(*) FROM migration_history._yoyo_log WHERE comment LIKE '%rehearsal=%'"
    assert killed.db.value(rows) == 3, "the log of the start included"
    killed.db.run("UPDATE migration_history._yoyo_log SET comment = replace(comment, 'rehearsal=', 'rehearsal=0')")
    with pytest.raises(Refused, match="0003_age was rehearsed, and is applied already, by another deploy"):
        killed.deploy()


def test_what_is_left_can_be_rehearsed_anew(killed: Production) -> None:
    killed.folder.write("0006_colour", "ALTER TABLE pet ADD COLUMN colour int;")
    killed.measured = {}
    killed.rehearse()
    assert len(killed.deploy().applied) == 3
    assert [row[0] for row in killed.kept()] == ["receipt", "receipt"]


def test_a_deploy_that_was_killed_in_a_statement_outside_a_transaction_goes_on(
    prod: Production, processes: Processes
) -> None:
    prod.rehearse()
    invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
    with prod.db.connect() as old, old.transaction():
        # a snapshot, for whose end CREATE INDEX CONCURRENTLY waits when the index is there and not valid yet
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT count(*) FROM pet")
        process = processes.start(prod.db.url, prod.folder.path, prod=prod.root)
        until(lambda: prod.db.value(invalid) == 1)
        kill(prod, process)
    assert prod.db.value(invalid) == 1
    assert [each.id for each in prod.deploy().applied] == list(PENDING)[1:]
    assert prod.db.value(invalid) == 0


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kind", ["receipt", "first"])
def test_a_connection_that_is_cut_at_any_message_is_healed_by_a_rerun(
    server: PostgresServer,
    tmp_path: Path,
    kind: str,
    moment: str,
    record_property: Callable[[str, object], None],
) -> None:
    boundary, told = 0, True
    while told:
        boundary += 1
        url = server.create_database()
        root = tmp_path / f"{boundary}"
        root.mkdir()
        prod = Production(root, FolderBuilder(root / "migrations"), Database(url))
        prod.settings()
        prod.write(BASE)
        if kind == "receipt":
            prod.deploy()
            prod.write()
            prod.rehearse()
        else:
            prod.write()
        told = _cut(prod, boundary, moment)
        prod.deploy()
        assert len(prod.db.applied()) == len(BASE) + len(PENDING), f"cut {moment} message {boundary}"
        assert kind in {row[0] for row in prod.kept()}
        server.drop_database(url)
    record_property("faults tried", boundary - 1)
    assert boundary > 8


def _cut(prod: Production, boundary: int, moment: str) -> bool:
    """Deploy, and cut the connection at a message; whether there was such a message."""
    fired: list[int] = []

    def cut(link: Link, number: int) -> None:
        if number == boundary and not fired:
            fired.append(number)
            link.drop()

    with CountingProxy(prod.db.url.host, prod.db.url.port or 5432) as proxy:
        setattr(proxy, moment, cut)
        try:
            prod.deploy(url=prod.db.url.copy_with(host="127.0.0.1", port=proxy.port))
        except DatabaseFailed:
            assert fired
    return bool(fired)
