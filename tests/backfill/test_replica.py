"""A replica that does not keep up is waited for. What replicates here says how far it replayed, and no more."""

from __future__ import annotations

import shutil
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import pq

from pipeline.deploy.observer import Observer
from pipeline.postgres.embedded import EmbeddedServer
from tests.support.backfills import go_on, items, registered
from tests.support.sample import Database
from tests.support.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbclient.url import DatabaseURL
    from pipeline.backfill.working import Stand
    from tests.support.folders import FolderBuilder


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    folder = Path(tempfile.mkdtemp(prefix="db-tests-own-"))
    folder.chmod(0o755)  # as root, another account runs the server
    server = EmbeddedServer(folder / "server")
    yield server
    server.destroy()
    shutil.rmtree(folder)


class Replica:
    """A connection that receives WAL as a standby does, and reports what it is told to."""

    def __init__(self, url: DatabaseURL) -> None:
        self._connection = psycopg.connect(url.reveal(), replication="true", autocommit=True)
        self._pg = self._connection.pgconn
        position = self._pg.exec_(b"IDENTIFY_SYSTEM").get_value(0, 2) or b""
        assert self._pg.exec_(b"START_REPLICATION PHYSICAL " + position).status == pq.ExecStatus.COPY_BOTH
        high, low = position.decode().split("/")
        self.begun = int(high, 16) << 32 | int(low, 16)

    def report(self, position: int) -> None:
        """Written, flushed and replayed up to there."""
        self._pg.put_copy_data(b"r" + struct.pack("!QQQqB", position, position, position, 0, 0))
        self._pg.flush()

    def close(self) -> None:
        self._connection.close()


def test_a_backfill_rests_while_a_replica_is_behind(own_server: EmbeddedServer, folder: FolderBuilder) -> None:
    record = own_server.start()
    superuser, db = Database(record.superuser), Database(record.owner)
    items(folder, 20_000)
    registered(db.url, folder)
    superuser.run("GRANT pg_monitor TO " + str(record.owner.user))
    replica = Replica(record.superuser)
    replica.report(replica.begun)
    until(lambda: superuser.value("SELECT replay_lsn IS NOT NULL FROM pg_stat_replication"))
    superuser.run("CREATE TABLE filler AS SELECT repeat('x', 1000) FROM generate_series(1, 110000)")
    waits: list[str] = []

    class Listening(Observer):
        def backfilling(self, stand: Stand) -> None:
            waits.append(stand.why)

    found = go_on(db.url, folder, Listening(), seconds=1)
    assert not found.is_complete
    assert "MB of WAL behind" in waits[0]
    assert found.backfills[0].visited == 0
    replica.report(replica.begun + (1 << 30))
    until(lambda: superuser.value("SELECT replay_lsn > pg_current_wal_lsn() FROM pg_stat_replication"))
    assert go_on(db.url, folder).is_complete
    replica.close()
