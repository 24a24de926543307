"""What a deploy takes for destroying, read off the files; the generator has the same list (tests/generate)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.lint.losses import losses

if TYPE_CHECKING:
    from tests.support.folders import FolderBuilder

BASE = """
CREATE TYPE mood AS ENUM ('good');
CREATE TABLE item (id int PRIMARY KEY, name varchar(20), state mood, code varchar(5), "from" text);
CREATE TABLE part (id int) PARTITION BY RANGE (id);
CREATE TABLE part_one PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE FUNCTION sweep() RETURNS void LANGUAGE sql AS 'DELETE FROM item WHERE id < 0';
"""


@pytest.mark.parametrize(
    ("sql", "lost"),
    [
        ("DROP TABLE item;", 'table "item" with its rows'),
        ("DROP TABLE IF EXISTS item;", 'table "item" with its rows'),
        ("ALTER TABLE item DROP COLUMN name;", 'column "item"."name" with its contents'),
        ("ALTER TABLE item ADD COLUMN a int, DROP COLUMN IF EXISTS name;", 'column "item"."name" with its contents'),
        ("ALTER TABLE part DETACH PARTITION part_one;", 'the rows of partition "part_one" from "part"'),
        (
            "ALTER TABLE item ALTER code TYPE varchar(3);",
            'values of "item"."code" that varchar(3) cannot hold (it was varchar(5))',
        ),
        ("ALTER TABLE item ALTER unknown TYPE int;", 'values of "item"."unknown" that int cannot hold'),
        ("DROP SEQUENCE s;", 'sequence "s" with its current number'),
        ("DROP SCHEMA old CASCADE;", 'schema "old" with what is in it'),
        ("DROP EXTENSION citext;", 'extension "citext" with its types and functions'),
        ("TRUNCATE item;", 'every row of "item"'),
        ("DELETE FROM item WHERE id = 1;", 'rows of "item" by DELETE'),
        ("UPDATE item SET name = '';", 'values of "item" by UPDATE'),
        ("WITH gone AS (DELETE FROM item RETURNING id) SELECT count(*) FROM gone;", 'rows of "item" by DELETE'),
        ("DO $$ BEGIN DELETE FROM item; END $$;", 'rows of "item" by DELETE'),
        ("SELECT sweep();", 'rows of "item" by DELETE'),
    ],
)
def test_what_takes_something_away_is_found(folder: FolderBuilder, sql: str, lost: str) -> None:
    folder.write("0001_base", BASE).write("0002_next", sql)
    assert losses(folder.read().files, ["0002_next"]) == {"0002_next": (lost,)}


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE item ADD COLUMN pinned boolean;",
        "ALTER TABLE item ALTER code TYPE varchar(30);",
        "ALTER TABLE item ALTER code TYPE text, ALTER state TYPE text;",
        "ALTER TABLE item ADD CONSTRAINT c CHECK (id > 0); ALTER TABLE item DROP CONSTRAINT c;",
        "ALTER TABLE item ALTER \"from\" SET DEFAULT 'DROP TABLE item';",
        "CREATE TABLE scratch (a int, b int); ALTER TABLE scratch DROP COLUMN b; UPDATE scratch SET a = 1; DROP TABLE scratch;",
        "CREATE INDEX i ON item (name); DROP INDEX i;",
        "INSERT INTO item (id) VALUES (1);",
        "CREATE FUNCTION later() RETURNS void LANGUAGE sql AS 'DELETE FROM item';",
        "DROP FOREIGN TABLE elsewhere;",
        "-- DROP TABLE item;\nSELECT 1;",
    ],
)
def test_what_takes_nothing_away_is_left_alone(folder: FolderBuilder, sql: str) -> None:
    folder.write("0001_base", BASE).write("0002_next", sql)
    assert losses(folder.read().files, ["0002_next"]) == {}


def test_what_a_file_of_the_same_deploy_made_is_missed_by_nobody(folder: FolderBuilder) -> None:
    folder.write("0001_base", BASE).write("0002_made", "CREATE TABLE made (id int);").write(
        "0003_gone", "DROP TABLE made;"
    )
    files = folder.read().files
    assert losses(files, ["0002_made", "0003_gone"]) == {}
    assert losses(files, ["0003_gone"]) == {"0003_gone": ('table "made" with its rows',)}
