"""Rows that are missing come into files for one person, and back by a migration that is deployed as any other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from pipeline.errors import Refused, UsageError
from pipeline.restore.taking import take_rows
from tests.restore.conftest import ROOT

if TYPE_CHECKING:
    from pipeline.restore.taking import Taken
    from tests.restore.conftest import Place


def load(place: Place, file: Path) -> None:
    """What psql does with load.sql, on a machine that may have no psql."""
    text = file.read_text()
    with psycopg.connect(place.url.for_psycopg().dsn, autocommit=True) as connection:
        for line in text.splitlines():
            if line.startswith("\\copy "):
                target, _, path = line.removeprefix("\\copy ").partition(" FROM ")
                with connection.cursor().copy(f"COPY {target} FROM STDIN".encode()) as copy:
                    copy.write(Path(path.strip("'")).read_bytes())
            elif not line.startswith(("--", "\\")):
                connection.execute(line.encode())


def deploy_draft(place: Place, taken: Taken) -> None:
    for file in taken.files:
        if file.name[:4].isdigit():
            (place.folder.path / file.name).write_text(file.read_text())
    place.deploy()


def test_missing_rows_come_back_by_the_draft_and_nothing_is_run_by_taking_them(place: Place) -> None:
    place.rows("INSERT INTO \"Person\" VALUES (950, 'has the number by now', NULL)")
    wanted = place.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    taken = take_rows(place.checkout, "0003", "Person", place.environ)
    assert place.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text") == wanted
    rows, loading, *_ = taken.files
    assert [file.name for file in taken.files] == [
        "rows.copy",
        "load.sql",
        "0004_bring_back_person.sql",
        "0004_bring_back_person.rollback.sql",
    ]
    assert (taken.rows, len(rows.read_text().splitlines())) == (99, 99)
    assert {file.stat().st_mode & 0o777 for file in taken.files} == {0o600}
    assert rows.parent.stat().st_mode & 0o777 == 0o700
    assert rows.is_relative_to(place.folder.path.parent / ".local")
    assert taken.findings == ()

    load(place, loading)
    deploy_draft(place, taken)
    assert place.rows('SELECT count(*), sum(id) FROM "Person"') == [(1000, 500500)]
    assert place.value('SELECT name FROM "Person" WHERE id = 950') == "has the number by now"
    assert take_rows(place.checkout, "0003", "Person", place.environ).files == ()


def test_the_draft_does_nothing_on_a_database_without_the_rows(place: Place) -> None:
    deploy_draft(place, take_rows(place.checkout, "0003", "Person", place.environ))
    assert place.value('SELECT count(*) FROM "Person"') == 900


def test_a_dropped_table_comes_whole_and_odd_names_are_quoted(place: Place) -> None:
    place.folder.write(
        "0004_odd",
        'CREATE TABLE "Odd ""name" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "a b" text, '
        'twice int GENERATED ALWAYS AS (1 + 1) STORED);\nINSERT INTO "Odd ""name" ("a b") SELECT E\'\\t\\\\x\' || n '
        "FROM generate_series(1, 5) n;",
    )
    place.folder.write("0005_drop", 'DROP TABLE "Odd ""name";')
    place.deploy()
    taken = take_rows(place.checkout, "0005", 'Odd "name', place.environ)
    assert taken.rows == 5
    place.rows('CREATE TABLE "Odd ""name" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "a b" text, '
               "twice int GENERATED ALWAYS AS (1 + 1) STORED)")  # fmt: skip
    load(place, taken.files[1])
    deploy_draft(place, taken)
    assert place.rows('SELECT id, "a b", twice FROM "Odd ""name" ORDER BY id') == [
        (n, f"\t\\x{n}", 2) for n in range(1, 6)
    ]


def test_who_has_no_key_or_is_not_there_is_refused(shared_place: Place) -> None:
    with pytest.raises(Refused, match="tag has no primary key"):
        take_rows(shared_place.checkout, "0003", "tag", shared_place.environ)
    with pytest.raises(UsageError, match="there was no table Persons") as refused:
        take_rows(shared_place.checkout, "0003", "Persons", shared_place.environ)
    assert refused.value.remedy == "There were: Person, tag."


def test_the_verb_says_that_the_file_holds_personal_data_and_what_to_run(shared_place: Place) -> None:
    done = shared_place.inv("restore", "--env", "prod", "--before", "3", "--take", "Person")
    assert done.returncode == 0, done.stderr
    assert "100 rows of Person are in " in done.stdout
    assert "personal data" in done.stdout
    assert "50 rows that changed are not taken" in done.stdout
    assert "1. ./inv psql --env prod -- -f " in done.stdout
    assert "load.sql" in done.stdout
    assert ".local/" in (ROOT / ".gitignore").read_text().splitlines()
