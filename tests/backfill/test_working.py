"""Batch after batch: every row is done once, whatever the key is, and the end is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply
from pipeline.errors import InvalidPlan, MigrationFailed, MigrationFileError
from tests.support.backfills import UPDATE, go_on, head, items, registered

if TYPE_CHECKING:
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

ONCE = "SELECT done, count(*) FROM item GROUP BY 1 ORDER BY 1"


def test_a_file_is_done_to_its_end_where_nobody_limits_it(db: Database, folder: FolderBuilder) -> None:
    items(folder, 30_000).write("0003_done", head("id") + UPDATE)
    (backfill,) = apply(db.url, folder.read()).backfills
    assert (backfill.state, backfill.changed, backfill.remaining, backfill.pass_) == ("complete", 30_000, 0, 1)
    assert backfill.percent == 100
    assert db.rows(ONCE) == [(1, 30_000)]
    assert db.applied() == ["0001_item", "0002_items", "0003_done"]


@pytest.mark.parametrize(
    ("columns", "rows", "key"),
    [
        ("id uuid PRIMARY KEY", "gen_random_uuid()", "id"),
        (
            'a int NOT NULL, "B c" timestamptz NOT NULL, PRIMARY KEY (a, "B c")',
            "n % 7, now() + n * '1 us'::interval",
            'a, "B c"',
        ),
        ("a int NOT NULL, b text NOT NULL, c int, UNIQUE (b, a)", "n % 7, 'it''s ' || n, NULLIF(n % 3, 0)", "b,a"),
        ("id numeric(12, 3) PRIMARY KEY", "n / 7.0 + n", "id"),
        ("id bytea PRIMARY KEY", "sha256(n::text::bytea)", "id"),
        ('id text COLLATE "C" PRIMARY KEY', "md5(n::text)", "id"),
        ("a int NOT NULL, b int NOT NULL, PRIMARY KEY (a, b)", "n % 2, n", "a,b"),
    ],
    ids=["uuid", "int and instant", "a unique index of two", "numeric", "bytea", "text", "few values first"],
)
def test_any_unique_key_is_an_order(db: Database, folder: FolderBuilder, columns: str, rows: str, key: str) -> None:
    items(folder, 3000, key=columns, rows=rows).write("0003_done", head(key) + UPDATE)
    (backfill,) = apply(db.url, folder.read()).backfills
    assert (backfill.visited, backfill.pass_) == (3000, 1)
    assert db.rows(ONCE) == [(1, 3000)]


def test_an_index_in_the_other_direction_is_one_too(db: Database, folder: FolderBuilder) -> None:
    items(folder, 1000, key="a int NOT NULL, b int NOT NULL", rows="n % 5, n")
    folder.write("0002a_index", "CREATE UNIQUE INDEX item_key ON item (a DESC, b DESC);")
    folder.write("0003_done", head("a,b") + UPDATE)
    apply(db.url, folder.read())
    assert db.rows(ONCE) == [(1, 1000)]


@pytest.mark.parametrize(
    "index",
    [
        "CREATE INDEX ON item (a)",
        "CREATE UNIQUE INDEX ON item (a) WHERE a > 0",
        "CREATE UNIQUE INDEX ON item (a, b)",
        "CREATE UNIQUE INDEX ON item ((a + 1))",
        "CREATE UNIQUE INDEX ON item (c)",
        "ALTER TABLE item ADD EXCLUDE USING btree (a WITH =)",
    ],
)
def test_what_gives_no_order_of_all_rows_is_no_key(db: Database, folder: FolderBuilder, index: str) -> None:
    folder.write("0001_item", f"CREATE TABLE item (a int NOT NULL, b int NOT NULL, c int, done int); {index};")
    folder.write("0002_done", head("c" if "(c)" in index else "a") + UPDATE)
    with pytest.raises(MigrationFileError, match="is no key of item") as error:
        apply(db.url, folder.read())
    assert error.value.where.endswith("0002_done.sql:3")
    assert error.value.outcome is not None
    assert db.applied() == ["0001_item"]


def test_rows_that_are_deleted_or_copied_are_batches_too(db: Database, folder: FolderBuilder) -> None:
    items(folder, 2000)
    folder.write("0003_copies", "CREATE TABLE copy (id int PRIMARY KEY);")
    folder.write(
        "0004_copied",
        "-- pipeline: batched=public.item key=id\n"
        "-- remaining: SELECT count(*) FROM item WHERE NOT EXISTS (SELECT FROM copy WHERE copy.id = item.id)\n"
        "INSERT INTO copy SELECT i.id FROM item i "
        "WHERE NOT EXISTS (SELECT FROM copy WHERE copy.id = i.id) AND /* batch i */ true;",
    )
    folder.write(
        "0005_odd_ones_go",
        "-- pipeline: batched=item key=id\n-- remaining: SELECT count(*) FROM item WHERE id % 2 = 1\n"
        "DELETE FROM item WHERE id % 2 = 1 AND /* batch */ true;",
    )
    copied, gone = apply(db.url, folder.read()).backfills
    assert (copied.changed, gone.changed) == (2000, 1000)
    assert db.value("SELECT count(*) FROM copy") == 2000
    assert db.value("SELECT count(*) FROM item WHERE id % 2 = 0") == db.value("SELECT count(*) FROM item") == 1000


def test_an_empty_table_is_done(db: Database, folder: FolderBuilder) -> None:
    folder.write("0001_item", "CREATE TABLE item (id int PRIMARY KEY, done int NOT NULL DEFAULT 0);")
    folder.write("0002_done", head("id") + UPDATE)
    (backfill,) = apply(db.url, folder.read()).backfills
    assert (backfill.state, backfill.visited) == ("complete", 0)


def test_partitions_are_gone_through_as_one_table(db: Database, folder: FolderBuilder) -> None:
    folder.write(
        "0001_item",
        "CREATE TABLE item (id int PRIMARY KEY, done int NOT NULL DEFAULT 0) PARTITION BY HASH (id);"
        "CREATE TABLE a PARTITION OF item FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE b PARTITION OF item FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        "INSERT INTO item SELECT generate_series(1, 1000);",
    )
    folder.write("0002_done", head("id") + UPDATE)
    apply(db.url, folder.read())
    assert db.rows(ONCE) == [(1, 1000)]


def test_rows_behind_the_position_are_found_by_another_pass(db: Database, folder: FolderBuilder) -> None:
    items(folder, 500, rows="n * 2")
    registered(db.url, folder)
    # the count of what is left puts one in, as somebody does who has not heard of it
    db.run("CREATE TABLE late (n int); INSERT INTO late VALUES (1)")
    db.run(
        "CREATE FUNCTION behind() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.position IS NOT NULL AND NEW.pass = 1 THEN "
        "INSERT INTO item VALUES (1), (3) ON CONFLICT DO NOTHING; END IF; RETURN NEW; END $$"
    )
    db.run(
        "CREATE TRIGGER behind AFTER UPDATE OF position ON migration_history.backfills FOR EACH ROW EXECUTE FUNCTION behind()"
    )
    (backfill,) = go_on(db.url, folder).backfills
    assert (backfill.state, backfill.pass_, backfill.changed) == ("complete", 2, 502)
    assert db.rows(ONCE) == [(1, 502)]


def test_writers_who_never_stop_adding_are_told_of(db: Database, folder: FolderBuilder) -> None:
    items(folder, 100, rows="n * 1000")
    registered(db.url, folder)
    db.run(
        "CREATE FUNCTION behind() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO item SELECT coalesce(max(id), 0) + 1 "
        "FROM item WHERE id % 1000 <> 0; RETURN NEW; END $$"
    )
    db.run(
        "CREATE TRIGGER behind AFTER UPDATE OF position ON migration_history.backfills FOR EACH ROW EXECUTE FUNCTION behind()"
    )
    with pytest.raises(InvalidPlan, match="somebody keeps adding rows that are not done") as error:
        go_on(db.url, folder)
    assert "the trigger of the expand step" in error.value.remedy
    db.run("DROP TRIGGER behind ON migration_history.backfills")
    assert go_on(db.url, folder).is_complete
    assert {done for done, _ in db.rows(ONCE)} == {1}


def test_a_count_of_other_rows_than_the_statement_does_is_told(db: Database, folder: FolderBuilder) -> None:
    items(folder, 100)
    registered(db.url, folder, statement=UPDATE.replace("done = 0 AND", "done = 0 AND id <> 7 AND"))
    with pytest.raises(InvalidPlan, match="counts 1 rows after 5 passes, and the statement changes none"):
        go_on(db.url, folder)


def test_a_batch_that_fails_leaves_those_before_it(db: Database, folder: FolderBuilder) -> None:
    items(folder, 60_000)
    registered(db.url, folder, statement=UPDATE.replace("done + 1", "1 / (id - 59000)"))
    with pytest.raises(MigrationFailed, match="division by zero") as error:
        go_on(db.url, folder)
    assert error.value.where.endswith("0003_done.sql:3")
    assert db.value("SELECT count(*) FROM item WHERE done <> 0") == 0  # 1 / n is 0: only the position tells
    assert 0 < int(str(db.value("SELECT visited FROM migration_history.backfills"))) < 59_000
