"""What there was before a migration, counted on a branch at that moment; production is read only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.errors import ConfigurationError, Refused, UsageError
from pipeline.kept_points import keep
from pipeline.leases import Source
from pipeline.neon import ApiError, Moment
from pipeline.restore.comparing import LARGE, TableChanges
from pipeline.restore.in_place import go_back
from pipeline.restore.looking import look
from pipeline.restore.points import read_points

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.restore.conftest import Place

# What nobody who reads alone makes anew: transactions, and rows.
WRITTEN = """
SELECT pg_snapshot_xmax(pg_current_snapshot())::text,
       (SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_all_tables WHERE schemaname !~ '^pg_')
"""
POSITION = "SELECT pg_current_wal_insert_lsn()::text"


def by_table(tables: tuple[TableChanges, ...]) -> Mapping[str, TableChanges]:
    return {each.table: each for each in tables}


def test_the_points_are_the_applied_migrations_with_their_positions(shared_place: Place) -> None:
    found = read_points(shared_place.checkout, shared_place.environ)
    assert [(each.migration.id, each.reachable) for each in found.points] == [
        ("0001_people", True),
        ("0002_rows", True),
        ("0003_fewer", True),
    ]
    assert all(each.migration.lsn and each.migration.commit == "c" * 40 for each in found.points)
    assert (found.unasked, found.kept, found.held) == ("", (), ())


def test_without_a_key_the_points_are_listed_all_the_same(shared_place: Place) -> None:
    found = read_points(shared_place.checkout, {})
    assert {each.reachable for each in found.points} == {None}
    assert "NEON_API_KEY is not set" in found.unasked


def test_a_point_that_is_older_than_the_projects_history_is_said_to_be_outside(place: Place) -> None:
    place.rows("UPDATE migration_history._yoyo_migration SET applied_at_utc = applied_at_utc - interval '2 days' "
               "WHERE migration_id = '0001_people'")  # fmt: skip
    found = read_points(place.checkout, place.environ)
    assert [each.reachable for each in found.points] == [False, True, True]


def test_a_look_counts_what_is_gone_new_and_changed_and_changes_nothing(place: Place) -> None:
    place.rows("INSERT INTO \"Person\" VALUES (2001, 'somebody new', NULL), (2002, 'somebody else', NULL)")
    for table in ('"Person"', "tag"):
        place.rows(f"VACUUM FREEZE ANALYZE {table}")
    before = place.rows(WRITTEN)
    seen = look(place.checkout, "0003", place.environ)
    after = place.rows(WRITTEN)

    person, tag = (by_table(seen.tables)[name] for name in ("Person", "tag"))
    assert (person.then, person.now, person.gone, person.new, person.changed) == (1000, 902, 100, 2, 50)
    assert person.key == ("id",)
    assert (tag.then, tag.now, tag.gone, tag.new, tag.changed) == (100, 90, 10, 0, None)
    assert before == after
    position = place.value(POSITION)  # by now, since the emulator ends a segment of its log where a branch is cut
    assert look(place.checkout, "0003", place.environ).tables == seen.tables
    assert place.value(POSITION) == position
    assert place.value("SELECT count(*) FROM pg_extension") == 1


def test_the_branch_of_a_look_has_a_password_of_its_own_and_expires_in_a_day(shared_place: Place) -> None:
    seen = look(shared_place.checkout, "0003_fewer", shared_place.environ)
    url = seen.lease.url
    assert url is not None
    assert shared_place.value('SELECT count(*) FROM "Person"', url) == 1000
    assert url.password != shared_place.url.password
    assert str(url.password) not in repr(seen)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        shared_place.rows("SELECT 1", url.copy_with(password=shared_place.url.password))
    assert seen.lease.branch.expires_at is not None
    left = seen.lease.branch.expires_at - datetime.now(UTC)
    assert timedelta(hours=23, minutes=50) < left <= timedelta(hours=24)

    again = look(shared_place.checkout, "3".zfill(4), shared_place.environ)
    assert (again.again, again.lease.branch.id, again.lease.url) == (True, seen.lease.branch.id, url)


def test_a_look_whose_run_was_killed_before_the_password_was_set_is_gone_on_with(place: Place) -> None:
    place.emulator.fault(route="POST /projects/*/branches/*/roles/*/reset_password", status=422, message="no")
    place.emulator.fault(route="DELETE /projects/*/branches/*", status=422, message="killed, so nothing is deleted")
    with pytest.raises(ApiError):
        look(place.checkout, "0003", place.environ)
    place.emulator.admin.delete("/faults")
    seen = look(place.checkout, "0003", place.environ)
    assert seen.again
    assert seen.lease.url is not None
    assert seen.lease.url.password != place.url.password
    assert set(place.branches()) == {"main", seen.lease.branch.name}


def test_tables_and_columns_that_came_or_went_are_said(place: Place) -> None:
    place.folder.write(
        "0004_others",
        'ALTER TABLE "Person" DROP COLUMN note, ADD COLUMN age int;\nDROP TABLE tag;\nCREATE TABLE city AS SELECT 1 AS id;',
    )
    place.deploy()
    seen = by_table(look(place.checkout, "0004", place.environ).tables)
    assert (seen["Person"].dropped, seen["Person"].added, seen["Person"].changed) == (("note",), ("age",), 0)
    assert (seen["tag"].then, seen["tag"].now, seen["tag"].gone) == (90, None, 90)
    assert (seen["city"].then, seen["city"].now, seen["city"].new) == (None, 1, 1)


def test_every_kind_of_key_and_table_is_compared(place: Place) -> None:
    place.folder.write(
        "0004_kinds",
        "CREATE TABLE two (a int, b text COLLATE \"C\", v jsonb, PRIMARY KEY (a, b));\n"
        "CREATE TYPE mood AS ENUM ('good', 'bad');\nCREATE DOMAIN short AS varchar(9);\n"
        "CREATE TABLE kinds (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), m mood, s short, j json, x xml, p point, a int[], "
        "r int4range, t timestamptz DEFAULT now(), b bytea, was int);\n"
        "INSERT INTO kinds (m, s, j, x, p, a, r, b, was) SELECT 'good', 's' || n, '{}', '<x/>', point(n, n), ARRAY[n, NULL], "
        "int4range(0, n), 'b', n FROM generate_series(1, 20) n;\n"
        "CREATE TABLE uniq (code text NOT NULL UNIQUE, v numeric);\n"
        "CREATE TABLE parted (id bigint GENERATED ALWAYS AS IDENTITY, day date, n int, PRIMARY KEY (id, day)) "
        "PARTITION BY RANGE (day);\n"
        "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');\n"
        "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');\n"
        "CREATE TABLE parent (id int PRIMARY KEY);\nCREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);\n"
        "INSERT INTO two SELECT n, 'b' || n, jsonb_build_object('n', n) FROM generate_series(1, 5000) n;\n"
        "INSERT INTO uniq SELECT 'c' || n, n FROM generate_series(1, 10) n;\n"
        "INSERT INTO parted (day, n) SELECT date '2026-06-01' + n, n FROM generate_series(1, 400) n;\n"
        "INSERT INTO parent VALUES (1), (2);\nINSERT INTO child VALUES (1), (3);",
    )  # fmt: skip
    place.folder.write(
        "0005_bad",
        "ALTER TABLE kinds ALTER COLUMN was TYPE text;\nUPDATE kinds SET p = point(0, 0) WHERE was = '1';\n"
        "UPDATE kinds SET a = NULL WHERE was = '2';\nUPDATE kinds SET was = '33', m = 'bad' WHERE was = '3';\n"
        "UPDATE two SET v = '{}' WHERE a <= 20;\nDELETE FROM two WHERE a > 4990;\nDELETE FROM uniq WHERE code = 'c1';\n"
        "UPDATE uniq SET v = 0 WHERE code = 'c2';\nDELETE FROM parted WHERE n > 390;\nDELETE FROM ONLY parent WHERE id = 1;",
    )
    place.deploy()
    seen = by_table(look(place.checkout, "0005", place.environ).tables)
    counted = {name: (each.then, each.now, each.gone, each.new, each.changed) for name, each in seen.items()}
    assert counted["kinds"] == (20, 20, 0, 0, 3)
    assert counted["two"] == (5000, 4990, 10, 0, 20)
    assert counted["uniq"] == (10, 9, 1, 0, 1)
    assert counted["parted"] == (400, 390, 10, 0, 0)
    assert "parted_1" not in counted
    assert (counted["parent"], counted["child"]) == ((2, 1, 1, 0, 0), (2, 2, 0, 0, 0))
    assert seen["two"].key == ("a", "b")


def test_what_was_not_recorded_or_is_not_there_is_refused_with_what_to_do(place: Place) -> None:
    with pytest.raises(UsageError, match="no applied migration is named 0009; the last one is 0003_fewer"):
        look(place.checkout, "0009", place.environ)
    with pytest.raises(ConfigurationError, match="NEON_API_KEY is not set"):
        look(place.checkout, "0003", {})
    place.rows("UPDATE migration_history._yoyo_log SET comment = '' WHERE migration_id = '0003_fewer'")
    with pytest.raises(Refused, match="no position in the log is recorded of 0003_fewer"):
        look(place.checkout, "0003", place.environ)
    assert set(place.branches()) == {"main"}


def test_a_position_that_the_project_does_not_have_any_more_is_refused(place: Place) -> None:
    place.emulator.ok("PATCH", f"/projects/{place.project_id}", json={"project": {"history_retention_seconds": 0}})
    with pytest.raises(Refused, match=r"Neon cannot go back to .*, before 0003_fewer"):
        look(place.checkout, "0003", place.environ)
    assert set(place.branches()) == {"main"}


def test_what_is_older_than_the_history_is_looked_at_in_the_point_that_a_deploy_kept(place: Place) -> None:
    position = read_points(place.checkout, place.environ).points[-1].migration.lsn
    with place.client() as client:
        source = Source(place.project_id, place.branch_id, "app_owner", "app", Moment(lsn=position))
        keep(client, source, "prod", "0003_fewer", lasts=timedelta(days=7))
    assert [each.migration for each in read_points(place.checkout, place.environ).kept] == ["0003_fewer"]
    place.emulator.ok("PATCH", f"/projects/{place.project_id}", json={"project": {"history_retention_seconds": 0}})
    seen, again = (look(place.checkout, "0003", place.environ) for _ in range(2))
    assert by_table(seen.tables)["Person"].gone == by_table(again.tables)["Person"].gone == 100
    assert (seen.again, again.again, seen.lease.branch.id) == (False, True, again.lease.branch.id)
    assert seen.lease.url is not None
    assert place.value('SELECT count(*) FROM "Person"', seen.lease.url) == 1000
    assert seen.lease.url.password != place.url.password
    with pytest.raises(Refused, match="Neon cannot go back to"):
        go_back(place.checkout, "0003", place.environ, consent=lambda _: None)


def test_a_large_table_is_compared_when_somebody_asks_for_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert LARGE > 1 << 30
    monkeypatch.setattr("pipeline.restore.comparing.LARGE", 60_000)
    seen = by_table(look(place.checkout, "0003", place.environ).tables)
    assert "compared with --large" in seen["Person"].uncompared
    assert (seen["Person"].then, seen["tag"].then) == (None, 100)
    seen = by_table(look(place.checkout, "0003", place.environ, large=True).tables)
    assert seen["Person"].gone == 100
