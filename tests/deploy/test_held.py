"""What a restore undid does not run again as it is: a row of the log says so, and the deploy reads it with all the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pipeline.deploy import apply, inspect_server
from pipeline.deploy.observer import Observer
from pipeline.deploy.status import read_status
from pipeline.deploy.target import Target
from pipeline.errors import InvalidPlan
from pipeline.history.holding import held_sql, released_sql
from pipeline.history.record import Author
from tests.deploy.test_round_trips import NOTHING_PENDING, counted
from tests.history.test_yoyo import listed
from tests.support.sample import SAMPLE_IDS

if TYPE_CHECKING:
    from tests.support.folders import FolderBuilder
    from tests.support.sample import Database

SOMEBODY = Author("somebody", "a machine")


def hold(db: Database, *ids: str) -> None:
    """As a restore leaves it: not recorded any more, and held."""
    applied = inspect_server(db.url).history.applied
    names = ", ".join(f"'{id_}'" for id_ in ids)
    for table in ("_yoyo_migration", "_yoyo_log"):
        db.run(f"DELETE FROM migration_history.{table} WHERE migration_id IN ({names})")
    db.run(held_sql([applied[id_] for id_ in ids], SOMEBODY, "kept/prod-undone-0005-at-0_1"))


def test_a_deploy_refuses_what_is_held_with_the_reason_and_both_ways_out(
    migrated_sample: Database, sample: FolderBuilder
) -> None:
    db = migrated_sample
    db.run('ALTER TABLE "Pet" DROP COLUMN name')
    hold(db, "0005_pet_name")
    with pytest.raises(InvalidPlan) as refused:
        apply(db.url, sample.read())
    assert refused.value.exit_code == 4
    said = str(refused.value)
    assert "migrations/0005_pet_name.sql: it is held: a restore undid it on 2" in said
    assert "--release 0005" in said
    assert "the branch kept/prod-undone-0005-at-0_1" in said
    assert db.applied() == SAMPLE_IDS[:-1]


def test_an_edited_file_runs_and_is_held_no_longer(migrated_sample: Database, sample: FolderBuilder) -> None:
    hold(migrated_sample, "0005_pet_name")
    sample.write("0005_pet_name", 'ALTER TABLE "Pet" ADD COLUMN nickname text;')
    assert [each.id for each in apply(migrated_sample.url, sample.read()).applied] == ["0005_pet_name"]
    history = inspect_server(migrated_sample.url).history
    assert (history.held, "0005_pet_name" in history.applied) == ({}, True)


def test_a_released_file_runs_as_it_is(migrated_sample: Database, sample: FolderBuilder) -> None:
    db = migrated_sample
    db.run('ALTER TABLE "Pet" DROP COLUMN name')
    hold(db, "0005_pet_name")
    db.run(released_sql(inspect_server(db.url).history.held["0005_pet_name"], SOMEBODY))
    assert [each.id for each in apply(db.url, sample.read()).applied] == ["0005_pet_name"]


def test_what_is_behind_an_edited_file_is_held_until_it_is_released_too(
    migrated_sample: Database, sample: FolderBuilder
) -> None:
    db = migrated_sample
    hold(db, "0003_pets", "0004_person_name", "0005_pet_name")
    db.run('DROP TABLE "Pet"')
    sample.write("0003_pets", 'CREATE TABLE "Pet" (id int PRIMARY KEY);')
    with pytest.raises(InvalidPlan, match=r"0004_person_name.sql: it is held"):
        apply(db.url, sample.read())
    assert db.value("SELECT to_regclass('\"Pet\"')") is None


def test_a_file_whose_checksum_nobody_knows_is_held_in_any_text(
    migrated_sample: Database, sample: FolderBuilder
) -> None:
    applied = inspect_server(migrated_sample.url).history.applied["0005_pet_name"]
    hold(migrated_sample, "0005_pet_name")
    migrated_sample.run("DELETE FROM migration_history._yoyo_log WHERE operation = 'held'")
    migrated_sample.run(held_sql([replace(applied, checksum="")], SOMEBODY, ""))
    sample.write("0005_pet_name", "SELECT 1;")
    with pytest.raises(InvalidPlan, match="it is held"):
        apply(migrated_sample.url, sample.read())


def test_status_and_its_plan_name_what_is_held(migrated_sample: Database, sample: FolderBuilder) -> None:
    hold(migrated_sample, "0005_pet_name")
    seen = read_status(migrated_sample.url, sample.read(), target=Target(), observer=Observer())
    assert seen.plan.held == ("0005_pet_name",)
    assert [fault.where for fault in seen.plan.faults] == [sample.read().by_id["0005_pet_name"].path]


def test_a_history_with_held_migrations_costs_no_wait_more_and_yoyo_reads_it(
    migrated_sample: Database, sample: FolderBuilder
) -> None:
    hold(migrated_sample, "0005_pet_name")
    assert listed(migrated_sample.url, sample)["0005_pet_name"] == "U"
    sample.write("0005_pet_name", 'ALTER TABLE "Pet" ADD COLUMN nickname text;')
    assert counted(migrated_sample, sample) == (NOTHING_PENDING + 1, 1)
    assert counted(migrated_sample, sample) == (NOTHING_PENDING, 1)
    assert listed(migrated_sample.url, sample)["0005_pet_name"] == "A"
