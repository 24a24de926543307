"""The diagram of docs/schema.md is true, and says what a foreign key allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pipeline.schema.er_diagram import PAGE, er_diagram, with_diagram

if TYPE_CHECKING:
    import psycopg


def test_the_page_shows_the_database_as_it_is(chat: psycopg.Connection[Any]) -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page == with_diagram(page, er_diagram(chat)), "write it anew: see pipeline/schema/er_diagram.py"


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


def test_a_page_without_a_diagram_is_an_error() -> None:
    with pytest.raises(ValueError, match="no erDiagram"):
        with_diagram("# A page\n", "erDiagram\n")
