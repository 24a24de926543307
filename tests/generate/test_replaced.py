"""A constraint that takes another's place: what it guarantees holds after each of the files, forward and back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.deploy import apply
from pipeline.deploy.rolling_back import rollback
from pipeline.generate.generating import generate
from pipeline.generate.proposals import Wishes
from pipeline.migrations import read_folder
from tests.generate.changes_of_keys import CHANGES_OF_KEYS

if TYPE_CHECKING:
    from tests.generate.conftest import Checkout

AGAIN = (
    'INSERT INTO "Ticket" ("id", "number", "copy", "rank") SELECT "id", "number", "copy", "rank" FROM "Ticket" LIMIT 1'
)
ORPHAN = 'INSERT INTO "Stub" VALUES (99999)'
BEFORE = "0900_extras"

# A row that both the old and the new constraint refuse.
REFUSED: dict[str, tuple[str, type[psycopg.Error]]] = {
    "unique: replaced, same name": (AGAIN.replace('"copy", ', ""), psycopg.errors.UniqueViolation),
    "unique: replaced, other name": (AGAIN.replace('"copy", ', ""), psycopg.errors.UniqueViolation),
    "unique index: changed": (AGAIN.replace('"id", "number", ', ""), psycopg.errors.UniqueViolation),
    "primary key: replaced, referenced": (AGAIN, psycopg.errors.UniqueViolation),
    "foreign key: of a key that is replaced": (ORPHAN, psycopg.errors.ForeignKeyViolation),
}


@pytest.mark.parametrize("what", REFUSED)
def test_nothing_gets_in_between_the_files(with_rows: Checkout, what: str) -> None:
    sql, error = REFUSED[what]
    named = "primary key: replaced, referenced" if error is psycopg.errors.ForeignKeyViolation else what
    (change,) = (each for each in CHANGES_OF_KEYS if each.id == named)
    with_rows.edit(change.of(with_rows.workbench.schema.read_text()))
    assert generate("change", with_rows.workbench, Wishes(draft=True)).notes == ()
    folder = read_folder(with_rows.workbench.migrations)
    new = [file.id for file in folder.files if file.id > BEFORE]
    assert len(new) > 1
    for id_ in new:
        apply(with_rows.local, replace(folder, files=tuple(file for file in folder.files if file.id <= id_)))
        assert_refused(with_rows, sql, error)
    for id_ in [*reversed(new[:-1]), BEFORE]:
        rollback(with_rows.local, folder, to=id_)
        assert_refused(with_rows, sql, error)


def assert_refused(checkout: Checkout, sql: str, error: type[psycopg.Error]) -> None:
    with psycopg.connect(checkout.local.reveal()) as connection, pytest.raises(error):
        connection.execute(sql)


def test_all_rows_are_read_before_a_lock_that_stops_everybody(with_rows: Checkout) -> None:
    schema = with_rows.workbench.schema.read_text()
    for column in ('"title"     varchar(100)', '"price"     numeric(8, 2)'):
        schema = schema.replace(column, f"{column} NOT NULL")
    with_rows.edit(schema)
    second = generate("change", with_rows.workbench, run=with_rows.run).files[1].read_text()
    assert second.count("VALIDATE CONSTRAINT") == 2
    assert second.rindex("VALIDATE CONSTRAINT") < second.index("SET NOT NULL")
