"""VACUUM FULL and CLUSTER outside a transaction: readers queue behind them, so they wait briefly and try again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply, concurrent
from pipeline.deploy.concurrent import deciding
from pipeline.deploy.observer import Observer
from pipeline.errors import MigrationFailed, TimedOut

if TYPE_CHECKING:
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

HEAD = "-- transactional: false\n-- pipeline: lock-timeout=50ms\n"
TABLES = (
    "CREATE TABLE t (a int PRIMARY KEY); CREATE TABLE p (a int PRIMARY KEY) PARTITION BY LIST (a);"
    "CREATE TABLE p1 PARTITION OF p DEFAULT; INSERT INTO t VALUES (1); INSERT INTO p VALUES (1);"
)
FILE = "SELECT relfilenode FROM pg_class WHERE oid = '{table}'::regclass"


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("VACUUM FULL t", "t"),
        ("VACUUM (FULL, ANALYZE) t", "t"),
        ("CLUSTER t USING t_pkey", "t"),
        ("CLUSTER p USING p_pkey", "p1"),
    ],
)
def test_a_table_that_is_read_is_tried_again_until_it_is_free(
    db: Database, folder: FolderBuilder, statement: str, table: str
) -> None:
    apply(db.url, folder.write("0001_t", TABLES).read())
    folder.write("0002_r", f"{HEAD}{statement};")
    before = db.value(FILE.format(table=table))
    retries: list[str] = []
    with db.connect() as reader:
        reader.execute(f"BEGIN; SELECT count(*) FROM {table}")

        class Releasing(Observer):
            def retrying(self, migration: str, why: str, seconds: float) -> None:
                assert seconds > 0
                retries.append(f"{migration}: {why}")
                reader.execute("ROLLBACK")

        report = apply(db.url, folder.read(), observer=Releasing())
    assert retries == ["0002_r: canceling statement due to lock timeout"]
    assert [each.id for each in report.applied] == ["0002_r"]
    assert db.value(FILE.format(table=table)) != before


def test_without_a_limit_of_its_own_it_has_that_of_other_files_and_a_plain_vacuum_has_none(
    folder: FolderBuilder,
) -> None:
    full = folder.write("0001_f", "-- transactional: false\nVACUUM FULL t;").read().files[0].forward
    plain = folder.write("0001_f", "-- transactional: false\nVACUUM t;").read().files[0].forward
    assert "SET lock_timeout = '2s'" in deciding.limits_sql(full)
    assert "SET lock_timeout = '0'" in deciding.limits_sql(plain)


def test_a_table_that_is_never_free_is_given_up_with_exit_code_6(
    db: Database, folder: FolderBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrent.execute, "__kwdefaults__", {"retry_for": 0.3})
    apply(db.url, folder.write("0001_t", TABLES).read())
    folder.write("0002_r", f"{HEAD}VACUUM FULL t;")
    with db.connect() as reader:
        reader.execute("BEGIN; SELECT count(*) FROM t")
        with pytest.raises(TimedOut, match="did not get a lock") as caught:
            apply(db.url, folder.read())
    assert caught.value.exit_code == 6
    assert "0 of 1 applied in this run" in caught.value.message


HIDDEN = {
    "ALTER SYSTEM SET work_mem = '4MB'": "ALTER ROLE … SET",
    "CREATE DATABASE d": "infra/",
    "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p": "connect = false",
    "VACUUM t": "file of its own",
    "CLUSTER p USING p_pkey": "file of its own",
    "REINDEX TABLE p": "REINDEX TABLE CONCURRENTLY name",
    "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY": "file of its own",
}


def test_what_a_text_hides_and_only_the_server_finds_has_a_remedy_that_can_be_followed(
    superuser: Database, folder: FolderBuilder
) -> None:
    apply(superuser.url, folder.write("0001_t", TABLES).read())
    for statement, remedy in HIDDEN.items():
        quoted = statement.replace("'", "''")
        folder.write("0002_h", f"DO $$ BEGIN EXECUTE '{quoted}'; END $$;")
        with pytest.raises(
            MigrationFailed, match=r"cannot (be executed from a function|run inside a transaction)"
        ) as caught:
            apply(superuser.url, folder.read())
        assert remedy in caught.value.remedy
