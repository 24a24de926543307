"""The diagram of docs/schema.md is true, and says what a foreign key allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pipeline.schema.er_diagram import er_diagram, redrawn
from tests.support.databases import PRODUCT

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from dbclient.url import DatabaseURL


PAGE = PRODUCT / "docs" / "schema.md"


def test_the_page_shows_the_database_as_it_is(migrated: DatabaseURL) -> None:
    assert redrawn(PAGE, migrated) is None, "./inv verify draws it anew"


def test_an_old_diagram_is_drawn_anew_and_nothing_else_changed(migrated: DatabaseURL, tmp_path: Path) -> None:
    page = tmp_path / "schema.md"
    page.write_text(PAGE.read_text().replace('    "User" {\n', '    "People" {\n'))
    assert redrawn(page, migrated) == PAGE.read_text()


@pytest.mark.parametrize(
    ("column", "line"),
    [
        ("p integer NOT NULL REFERENCES parent", '"parent" ||--o{ "child" : "p"'),
        ("p integer REFERENCES parent", '"parent" |o--o{ "child" : "p"'),
        ("p integer NOT NULL UNIQUE REFERENCES parent", '"parent" ||--o| "child" : "p"'),
        ("p integer UNIQUE REFERENCES parent", '"parent" |o--o| "child" : "p"'),
    ],
)
def test_an_arrow_says_how_many_there_may_be(owner: psycopg.Connection[Any], column: str, line: str) -> None:
    owner.execute("CREATE TABLE parent (id integer PRIMARY KEY)")
    owner.execute(f"CREATE TABLE child ({column})")

    assert line in er_diagram(owner)


@pytest.mark.parametrize(
    ("column", "line"),
    [
        ("a integer PRIMARY KEY", "integer a PK"),
        ("a integer UNIQUE", 'integer a UK "may be null"'),
        ("a integer PRIMARY KEY REFERENCES t", "integer a PK, FK"),
        ("a timestamptz(3) NOT NULL", "timestamptz(3) a"),
        ("a timestamptz[] NOT NULL", "timestamptz[] a"),
        ("a timestamp(3) NOT NULL", "timestamp(3)_without_time_zone a"),
        ("a text[] NOT NULL", "text[] a"),
    ],
)
def test_a_column_shows_its_type_and_its_keys(owner: psycopg.Connection[Any], column: str, line: str) -> None:
    owner.execute(f"CREATE TABLE t ({column})")

    assert f"        {line}\n" in er_diagram(owner)


def test_the_history_is_not_drawn(owner: psycopg.Connection[Any]) -> None:
    owner.execute("CREATE SCHEMA migration_history CREATE TABLE _yoyo_log (id text)")
    owner.execute("CREATE TABLE _prisma_migrations (id text)")

    assert er_diagram(owner) == "erDiagram\n"


def test_a_page_without_a_diagram_is_left_alone_and_so_is_none(migrated: DatabaseURL, tmp_path: Path) -> None:
    page = tmp_path / "schema.md"
    assert redrawn(page, migrated) is None
    page.write_text("# A page\n")
    assert redrawn(page, migrated) is None
