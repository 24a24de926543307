"""What is called applied is on the disk, though not every commit waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.deploy.observer import Observer
from pipeline.errors import MigrationFailed
from pipeline.history.record import FLUSH
from tests.support.counting_proxy import CountingProxy

if TYPE_CHECKING:
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

FILES = 60  # every second one waits


class Listener(Observer):
    """Notes how far the log was on the disk when each file was called applied, and what the client had sent until then."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.sent: list[bytes] = []
        self.flushed: dict[str, str] = {}
        self.asked: dict[str, bool] = {}

    def applied(self, migration: str, milliseconds: int | None) -> None:
        assert milliseconds is not None
        self.flushed[migration] = str(self._db.value("SELECT pg_current_wal_flush_lsn()"))
        self.asked[migration] = any(FLUSH.encode() in message for message in self.sent)


def test_a_file_is_called_applied_when_its_commit_is_on_the_disk(db: Database, folder: FolderBuilder) -> None:
    for number in range(1, FILES + 1):
        folder.write(f"{number:04}_t", f"CREATE TABLE t{number} (id int);")
    listener = Listener(db)
    apply(db.url, folder.read(), observer=listener)
    assert list(listener.flushed) == db.applied()
    # each file's own note of where the log was when it began, which is behind the commit of the file before
    began = [
        str(row[0])
        for row in db.rows(
            "SELECT substring(comment FROM 'lsn=(\\S+)') FROM migration_history._yoyo_log ORDER BY created_at_utc"
        )
    ]
    for flushed, behind in zip(list(listener.flushed.values())[:-1], began[1:], strict=True):
        assert db.value(f"SELECT '{flushed}'::pg_lsn >= '{behind}'::pg_lsn")


def test_behind_a_failure_the_disk_is_waited_for_before_a_file_is_called_applied(
    db: Database, folder: FolderBuilder
) -> None:
    for number in range(1, FILES + 1):
        folder.write(f"{number:04}_t", f"CREATE TABLE t{number} (id int);" if number != 24 else "SELECT 1 / 0;")
    listener = Listener(db)
    with CountingProxy(db.url.host, db.url.port or 5432) as proxy:
        proxy.sent = lambda _, message: listener.sent.append(message)
        with pytest.raises(MigrationFailed, match=rf"23 of {FILES} applied in this run"):
            apply(db.url.copy_with(host="127.0.0.1", port=proxy.port), folder.read(), observer=listener)
    assert list(listener.asked) == db.applied()
    assert [listener.asked[id_] for id_ in ("0021_t", "0022_t", "0023_t")] == [False, False, True]


def test_a_file_cannot_keep_its_commit_from_waiting(db: Database, folder: FolderBuilder) -> None:
    folder.write("0001_hurries", "SET synchronous_commit = off; CREATE TABLE t ();")
    listener = Listener(db)
    before = db.value("SELECT pg_current_wal_insert_lsn()")
    apply(db.url, folder.read(), observer=listener)
    assert db.value(f"SELECT '{listener.flushed['0001_hurries']}'::pg_lsn > '{before}'::pg_lsn")
